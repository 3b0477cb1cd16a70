"""The provider `random`: values that are drawn once and then stay in the state of the stack."""
