"""Failures with a meaning: what may pass by waiting, and what needs a person."""


class ContainerServerError(Exception):
    """Base of this package's errors; the message is for the person who must act."""


class TransientError(ContainerServerError):
    """May pass by itself: the network, a role that has not spread yet, an engine that is starting."""


class RefusedInputError(ContainerServerError):
    """Something from outside is not what it must be; trying the same again will not help."""
