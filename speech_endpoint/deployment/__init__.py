"""An Inference Endpoint of one's own: what is wanted, what is there, and the difference."""
