"""Models that run on this machine: the subject model, a causal judge, a sentence encoder."""
