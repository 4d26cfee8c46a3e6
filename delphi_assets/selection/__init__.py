"""From activations to examples: statistics of latents, neighbours, and windows chosen."""
