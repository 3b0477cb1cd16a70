"""What a machine boots with: custom and user data, its administrator, how it is patched."""

from __future__ import annotations

import base64
import binascii

from emulator.arm.compute.common import invalid, not_changeable
from emulator.arm.context import Write

CUSTOM_DATA = "properties.osProfile.customData"
USER_DATA = "properties.userData"
RSA_BITS = 2048
DECODED_LIMIT = 65535
ENCODED_LIMIT = 87380
"""Bytes of custom or user data, and characters of base64 for them."""
RESERVED = frozenset(
    """
    administrator admin user user1 test user2 test1 user3 admin1 1 123 a actuser adm admin2 aspnet backup
    console david guest john owner root server sql support support_388945a0 sys test2 test3 user4 user5
    """.split()  # noqa: SIM905
)
"""Administrator names that Azure refuses."""


def _check_encoded(write: Write, path: str, what: str) -> None:
    text = write.hidden.get(path)
    if text is None:
        return
    try:
        fits = len(base64.b64decode(text, validate=True)) <= DECODED_LIMIT
    except (binascii.Error, ValueError):
        fits = False
    if not fits:
        raise invalid(
            f"{what} must be in Base64 encoding and with a maximum length of {ENCODED_LIMIT} characters.",
            path.removeprefix("properties."),
        )


def check_data(write: Write) -> None:
    """Hold custom and user data to their form; custom data never changes."""
    _check_encoded(write, CUSTOM_DATA, "Custom data in OSProfile")
    _check_encoded(write, USER_DATA, "User data")
    before = write.old.hidden.get(CUSTOM_DATA) if write.old else None
    if write.old is not None and write.hidden.get(CUSTOM_DATA) != before:
        raise not_changeable("osProfile.customData")


def check_login(write: Write) -> None:
    """Check the administrator and the keys."""
    profile = write.properties.get("osProfile")
    if profile is None:
        return
    name = str(profile.get("adminUsername", ""))
    if not name or name.lower() in RESERVED:
        raise invalid(f"The Admin Username specified is not allowed: '{name}'.", "osProfile.adminUsername")
    linux = profile.setdefault("linuxConfiguration", {})
    keys = ((linux.get("ssh") or {}).get("publicKeys")) or []
    if linux.get("disablePasswordAuthentication") and not keys:
        raise invalid(
            "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
            "linuxConfiguration",
        )
    for key in keys:
        wanted = f"/home/{name}/.ssh/authorized_keys"
        if key.get("path") != wanted:
            raise invalid(
                f"Destination path for SSH public keys is currently limited to its default value {wanted} "
                "due to a known issue in Linux provisioning agent.",
                "linuxConfiguration.ssh.publicKeys.path",
            )
        _check_key(str(key.get("keyData", "")))


def _check_key(line: str) -> None:
    """Azure takes ed25519 keys, and RSA ones of 2048 bits or more, in OpenSSH's one-line form."""
    kind, _, rest = line.strip().partition(" ")
    encoded = rest.partition(" ")[0]
    try:
        bits = len(base64.b64decode(encoded, validate=True)) * 8 if encoded.startswith("AAAA") else 0
    except (binascii.Error, ValueError):
        bits = 0
    if (kind == "ssh-ed25519" and bits) or (kind == "ssh-rsa" and bits >= RSA_BITS):
        return
    raise invalid(
        "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is invalid: an ed25519 key or an "
        f"RSA key of at least {RSA_BITS} bits in OpenSSH format is needed.",
        "linuxConfiguration.ssh.publicKeys.keyData",
    )


def check_patching(write: Write) -> None:
    """Patching by the platform needs the agent."""
    patch = write.get("properties.osProfile.linuxConfiguration.patchSettings") or {}
    agent = write.get("properties.osProfile.linuxConfiguration.provisionVMAgent")
    if "AutomaticByPlatform" in {patch.get("patchMode"), patch.get("assessmentMode")} and agent is False:
        raise invalid("patchMode AutomaticByPlatform needs provisionVMAgent.", "patchSettings")
