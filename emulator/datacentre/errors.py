"""The one exception of the fabric for what a person must fix."""


class FabricError(Exception):
    """The fabric cannot do what is asked; the message says what, why it matters and what fixes it."""
