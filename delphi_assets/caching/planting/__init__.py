"""Planting: activations of latents that are known, in place of a forward pass through a coder."""
