"""Explainers: from the train windows of a latent to a text that says when it fires.

`registry` knows them by name, `explainer` says what one is; the stage is `explanations`.
"""
