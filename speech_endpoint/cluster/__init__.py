"""Many machines: Ray Serve carries requests to replicas of the models."""
