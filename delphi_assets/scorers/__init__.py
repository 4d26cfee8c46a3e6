"""Scorers: questions about windows that a judge answers from an explanation alone."""
