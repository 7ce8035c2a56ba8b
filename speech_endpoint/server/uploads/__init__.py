"""Bodies of requests, read into memory that is bounded for all callers together. No files."""
