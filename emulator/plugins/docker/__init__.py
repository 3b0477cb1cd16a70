"""The provider `docker`: images that are built from a folder and pushed to an emulated registry."""
