"""HTTP for many callers: OpenAI's audio API, the host's, and what runs a server. Knows no model."""
