"""What is known of requests: records, figures, log lines. Nothing of what was said."""
