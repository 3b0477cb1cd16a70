"""What an operator does with a running federation: train it, watch it, look into its machines."""
