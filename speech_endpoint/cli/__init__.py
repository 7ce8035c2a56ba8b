"""The command `speech`: transcribe files here or at an endpoint."""
