"""Questions through a provider's batch endpoint."""
