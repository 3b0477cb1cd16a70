"""The public demonstration data of emulated hospitals, which `fed up` puts there, and what is their own."""

import base64
import hashlib
from collections.abc import Mapping

from workloads.data import heart_data

DEMONSTRATION = "heart.csv"
"""The blob."""


def foreign(hospital: str, blobs: Mapping[str, str]) -> list[str]:
    """Return the names of blobs (name -> MD5 in base64) that are not the demonstration data of a hospital."""
    ours = (
        {DEMONSTRATION: md5(heart_data.seed(hospital))} if hospital in heart_data.PATIENTS and blobs else {}
    )
    return sorted(name for name, found in blobs.items() if ours.get(name) != found)


def md5(content: bytes) -> str:
    """Return an MD5 as Azure Storage writes it: base64."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
