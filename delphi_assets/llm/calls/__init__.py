"""One call to an LLM: what is sent, what comes back, and what may be tried again."""
