"""The latent explorer: a static site about the latents of a lake, without a backend."""

from delphi_assets.explorer.writing import write_explorer

__all__ = ["write_explorer"]
