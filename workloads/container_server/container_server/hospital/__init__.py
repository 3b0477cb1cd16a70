"""A hospital's side of the container server."""
