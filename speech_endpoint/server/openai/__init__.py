"""The routes under /v1: what OpenAI's clients send and expect."""
