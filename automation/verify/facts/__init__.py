"""What verification starts from and ends with: a deployment's resources, and what was found about them."""
