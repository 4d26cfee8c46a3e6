"""Explainers: from the train windows of a latent to a text that says when it fires."""
