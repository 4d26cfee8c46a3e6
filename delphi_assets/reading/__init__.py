"""What is shown of a latent: records, highlighted and rendered windows, objects for notebooks."""
