"""From a corpus to activations: contexts, the coder trained or prepared, the captured shards."""
