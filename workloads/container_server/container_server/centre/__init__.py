"""The centre's side of the container server."""
