"""How long each resource of a deployment took, and which of them the whole waited for."""
