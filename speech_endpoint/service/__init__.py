"""One running batch for all callers: what is submitted to it, what comes back. Knows no HTTP."""
