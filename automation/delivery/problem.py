"""The one error of delivery."""


class DeliveryError(Exception):
    """Something that a person must mend: what, where, why it matters, how."""
