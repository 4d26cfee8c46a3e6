"""Judges measured before they are believed: what an LLM makes of latents that are known."""
