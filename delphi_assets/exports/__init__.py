"""A hookpoint's latents for other programs: one flat table, or Neuronpedia's bulk files."""
