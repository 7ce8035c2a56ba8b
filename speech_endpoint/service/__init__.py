"""One running batch for all callers: what is submitted to it, and what comes back. Knows no HTTP."""
