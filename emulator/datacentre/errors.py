"""The one exception of the datacentre for what a person must fix."""


class DatacentreError(Exception):
    """The datacentre cannot do what is asked; the message says what, why it matters and what fixes it."""


UNKNOWN_CONTAINER = 422
"""The status with which the datacentre's own API answers an UnknownContainerError; 400 for the others."""


class UnknownContainerError(DatacentreError):
    """A machine has no such container; the message names those that it has."""
