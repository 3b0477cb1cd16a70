"""What real machines are made of: a guest's image, and container images built from Dockerfiles.

Made from the distribution's packages with its own tools (mmdebstrap, buildah), once for all clones.
"""
