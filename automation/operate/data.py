"""Hospitals' data on the emulator: what each container `data` holds, and how a file gets there.

On Azure only the hospital itself can look into its account or write to it (docs/hospital.md): nothing here
does that for it.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

from automation.stacks.demonstration import DEMONSTRATION, foreign
from automation.ui.outcome import QuestionError, RefusedError
from emulator.datacentre.control import Fabric
from federation.outputs import Outputs
from workloads.container_server.container_server.hospital import dataset_check
from workloads.container_server.container_server.hospital.dataset_check import Checked
from workloads.data import heart_data


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """What `seed` found, as names of hospitals: each is in one of the three, or has the demonstration."""

    uploaded: tuple[str, ...]
    own: tuple[str, ...]
    """They keep data that this program did not make."""
    empty: tuple[str, ...]
    """Nothing is there, and there is no demonstration data of that name."""


def container_of(outputs: Outputs[str], hospital: str) -> str:
    """Return the ARM id of a hospital's container `data`; raise QuestionError for an unknown hospital."""
    if hospital not in outputs.hospitals:
        known = ", ".join(outputs.hospitals)
        raise QuestionError(f"there is no hospital {hospital!r}: the stack has {known}")
    return f"{outputs.hospitals[hospital].storage_account}/blobServices/default/containers/data"


def seed(fabric: Fabric, outputs: Outputs[str]) -> Seeded:
    """Upload the public demonstration data to the containers that are empty; touch nothing else."""
    held = {name: fabric.blobs(container_of(outputs, name)) for name in outputs.hospitals}
    has_demonstration = [name for name in held if name in heart_data.PATIENTS]
    uploaded = tuple(name for name in has_demonstration if not held[name])
    for name in uploaded:
        fabric.upload(container_of(outputs, name), DEMONSTRATION, heart_data.seed(name))
    return Seeded(
        uploaded=uploaded,
        own=tuple(name for name in held if foreign(name, held[name])),
        empty=tuple(name for name in held if not held[name] and name not in uploaded),
    )


def check(file: Path) -> Checked:
    """Compare a file with its data set's description, as the hospital's own VM does after an upload."""
    return dataset_check.check(file.name, _content(file))


def put(fabric: Fabric, container: str, file: Path) -> tuple[Checked, bool]:
    """Check a file, then upload it into a container `data` (its ARM id) under its own name.

    Returns what was found and whether the container changed. Raises RefusedError for a file that the
    hospital's VM would refuse.
    """
    checked = check(file)
    if checked.complaints:
        raise RefusedError(
            f"{file} was not uploaded: the hospital's VM would not take it\n  "
            + "\n  ".join(checked.complaints)
            + f"\nFix: correct the file, then ./fed data check {file}"
        )
    return checked, fabric.upload(container, file.name, _content(file))


def listing(fabric: Fabric, container: str) -> dict[str, str]:
    """Return the blobs of a container `data` (its ARM id), each with its MD5 in hexadecimal digits."""
    return {name: base64.b64decode(md5).hex() for name, md5 in sorted(fabric.blobs(container).items())}


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise QuestionError(f"{file} cannot be read: {error.strerror}") from error
