"""The next free address range for a hospital."""

from functools import reduce
from ipaddress import IPv4Network
from itertools import pairwise
from math import gcd

from automation.ui.outcome import QuestionError
from federation.address_plan import HOSPITAL_PREFIX
from federation.settings import Settings
from federation.values import CONTAINER_RANGES, PRIVATE_RANGES

#: With one hospital or none there is no habit to follow: each starts a /24 of its own, with room to grow.
USUAL_STEP = 256


def next_free(settings: Settings) -> IPv4Network:
    """Return the first free range on the grid that the other hospitals lie on, as large as the smallest of
    them.

    Raises:
        QuestionError: when the private block is full.
    """
    spaces = sorted(hospital.address_space for hospital in settings.hospitals.values())
    taken = [settings.centre.address_space, *spaces, *CONTAINER_RANGES]
    prefix = max((space.prefixlen for space in spaces), default=HOSPITAL_PREFIX)
    size = 1 << (32 - prefix)
    behind_centre = int(settings.centre.address_space.broadcast_address) + 1
    first = int(spaces[0].network_address) if spaces else behind_centre
    starts = [int(space.network_address) for space in spaces]
    distance = reduce(gcd, (later - earlier for earlier, later in pairwise(starts)), 0)
    step = max(distance or USUAL_STEP, size)
    block = next(private for private in PRIVATE_RANGES if settings.centre.address_space.subnet_of(private))
    for start in range(first, int(block.broadcast_address) - size + 2, step):
        candidate = IPv4Network((start, prefix), strict=False)
        if candidate.subnet_of(block) and not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise QuestionError(
        f"No /{prefix} is free in {block} behind the other hospitals. Name a range of another private block "
        "with --address-space, for example 192.168.0.0/27."
    )
