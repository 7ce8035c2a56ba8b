"""What `speech` can be told to do."""
