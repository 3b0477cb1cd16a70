"""The public demonstration data of emulated hospitals, which `fed up` puts there, and what is their own."""

import base64
import hashlib
from collections.abc import Mapping

from workloads.data import heart_data, readmission_data


def files(hospital: str) -> dict[str, bytes]:
    """Return what a hospital of the demonstration has, as blobs by name; nothing for any other hospital."""
    if hospital not in heart_data.PATIENTS:
        return {}
    return {"heart.csv": heart_data.seed(hospital), "readmission.csv": readmission_data.seed(hospital)}


def foreign(hospital: str, blobs: Mapping[str, str]) -> list[str]:
    """Return the names of blobs (name -> MD5 in base64) that are not the demonstration data of a hospital."""
    ours = {name: md5(content) for name, content in files(hospital).items()} if blobs else {}
    return sorted(name for name, found in blobs.items() if ours.get(name) != found)


def md5(content: bytes) -> str:
    """Return an MD5 as Azure Storage writes it: base64."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
