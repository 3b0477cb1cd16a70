"""This clone of the repository on this machine: where its files are."""
