"""The facts a VM needs to boot, checked before any text is made of them."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from components.boot.images import box_image

ROLE_IMAGES: Mapping[str, frozenset[str]] = {
    "centre": frozenset({"container-server", "fl-server", "mlflow"}),
    "hospital": frozenset({"container-server", "fl-client"}),
}
"""The images each role runs."""

_STORAGE_URL = re.compile(r"https://[a-z0-9]{3,24}\.blob\.[a-z0-9.-]+")
_NAME = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_CLIENT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FINGERPRINT = re.compile(r"SHA256:[0-9A-F]{2}(?::[0-9A-F]{2}){31}")


def variable(image: str) -> str:
    """Return the variable of an image's digest: in the compose file, and in `images.env` on the data disk."""
    return "IMAGE_" + image.upper().replace("-", "_")


class InvalidBootPlanError(ValueError):
    """A plan no VM could boot from; one line for each mistake."""


@dataclass(frozen=True, kw_only=True)
class BootPlan:
    """What one VM must know at its first boot.

    Raises InvalidBootPlanError, naming every field that is wrong: the values become part of shell scripts,
    units and YAML, so each field is held to the characters it may have.
    """

    party: str
    """`centre` or the hospital's key in the settings."""
    role: Literal["centre", "hospital"]
    environment: str
    """The stack: dev, mvp or prod."""
    fl_host: str
    """DNS name in the NVFlare server's certificate, which clients dial."""
    fl_address: str
    """The centre server's static IPv4 address: the only one a hospital's client may reach."""
    fl_port: int
    identity_client_id: str
    """Client id of the VM's user-assigned identity."""
    hub_storage_url: str
    """The centre's account, `https://<account>.blob.core.windows.net`."""
    own_storage_url: str | None
    """The hospital's own account; None at the centre."""
    registry: str
    """Login server of the centre's registry."""
    boxes: tuple[str, ...] = ()
    """The boxes with libraries, besides `base`, which is the client's own image (docs/adr/0098)."""
    request_days: int = 14
    """Centre only: for how many days a job waits for the hospitals' answers."""
    smallest_cell: int = 10
    """Centre only: fewest patients that a number in the dashboards may stand for."""
    approval: Literal["auto", "manual"] = "manual"
    """Centre only: requests that pass every check are signed at once, or wait for `fedctl approve`."""
    gpus: int = 0
    """Hospital only: NVIDIA's GPUs of the machine, for the boxes of jobs."""
    root_fingerprint: str | None = None
    """Hospital only: the root CA its officer pins, `SHA256:AA:BB:...`; None pins the first one offered."""

    def __post_init__(self) -> None:
        if mistakes := [*_field_mistakes(self), *_role_mistakes(self)]:
            raise InvalidBootPlanError("\n".join(f"boot plan of {self.party!r}: {line}" for line in mistakes))

    @property
    def images(self) -> tuple[str, ...]:
        """The images that this VM runs, by name."""
        return (*sorted(ROLE_IMAGES[self.role]), *map(box_image, sorted(self.boxes)))

    def image(self, name: str) -> str:
        """Return an image in the compose file: its registry is fixed, its digest is not (docs/adr/0057)."""
        return f"{self.registry}/{name}@${{{variable(name)}}}"

    @property
    def box_images(self) -> str:
        """`name@sha256:...` of each box with libraries, as jobs name them, once compose has filled it in."""
        return " ".join(f"{box}@${{{variable(box_image(box))}}}" for box in sorted(self.boxes))

    @property
    def is_hospital(self) -> bool:
        """Whether the VM belongs to a hospital."""
        return self.role == "hospital"


def _field_mistakes(plan: BootPlan) -> list[str]:
    patterns = [
        ("party", plan.party, _NAME),
        ("environment", plan.environment, _NAME),
        ("fl_host", plan.fl_host, _HOST),
        ("identity_client_id", plan.identity_client_id, _CLIENT_ID),
        ("hub_storage_url", plan.hub_storage_url, _STORAGE_URL),
        ("registry", plan.registry, _HOST),
        *[("boxes", box, _NAME) for box in plan.boxes],
    ]
    if plan.own_storage_url is not None:
        patterns.append(("own_storage_url", plan.own_storage_url, _STORAGE_URL))
    if plan.root_fingerprint is not None:
        patterns.append(("root_fingerprint", plan.root_fingerprint, _FINGERPRINT))
    mistakes = [
        f"{field} is {value!r}, expected the form {pattern.pattern}"
        for field, value, pattern in patterns
        if not pattern.fullmatch(value)
    ]
    try:
        ipaddress.IPv4Address(plan.fl_address)
    except ValueError:
        mistakes.append(
            f"fl_address is {plan.fl_address!r}, expected one IPv4 address: the client's firewall names it"
        )
    if not 0 < plan.fl_port < 65536:
        mistakes.append(f"fl_port is {plan.fl_port}, expected 1 to 65535")
    return mistakes


def _role_mistakes(plan: BootPlan) -> list[str]:
    mistakes = []
    if plan.is_hospital and plan.own_storage_url is None:
        mistakes.append("own_storage_url is missing: a hospital's data is read from its own account")
    if not plan.is_hospital and plan.own_storage_url is not None:
        mistakes.append("own_storage_url is set: the centre has no patients' data, leave it None")
    if not plan.is_hospital and plan.gpus:
        mistakes.append("gpus are set: no job's code runs at the centre")
    if not plan.is_hospital and plan.root_fingerprint is not None:
        mistakes.append(
            "root_fingerprint is set: the centre's VM makes the root itself, only hospitals pin it"
        )
    return mistakes
