"""The one exception of the fabric for what a person must mend."""


class FabricError(Exception):
    """The fabric cannot do what is asked; the message says what, why it matters and what mends it."""
