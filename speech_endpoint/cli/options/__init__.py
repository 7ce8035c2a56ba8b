"""Options of the command line that are parameters of a request."""
