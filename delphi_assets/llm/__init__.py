"""Asking LLMs: what is asked, what came back, and never paying twice for an answer."""
