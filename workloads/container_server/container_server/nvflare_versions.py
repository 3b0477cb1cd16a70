"""Which versions of NVFlare work together: a server's, and those of the clients that may be registered at it.

While a federation is upgraded, the centre's server is new and the hospitals' clients are still those before.
A pair stands here when a job ran with it. What does not stand here is refused before anything is changed.
"""

from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType

WORK_TOGETHER: Mapping[str, frozenset[str]] = MappingProxyType({"2.9.0": frozenset({"2.9.0"})})
"""Server -> clients."""


def running() -> str:
    """The version in this image; all images of a release have the same."""
    return version("nvflare")


def refusal(server: str, clients: Mapping[str, str]) -> str:
    """Why a server of that version must not serve these clients (hospital -> version); empty if it may."""
    known = WORK_TOGETHER.get(server, frozenset())
    wrong = {name: client for name, client in clients.items() if client not in known}
    if not wrong:
        return ""
    named = ", ".join(f"{name} {client}" for name, client in sorted(wrong.items()))
    may = ", ".join(sorted(known)) or "none that is known"
    return (
        f"a server of NVFlare {server} is known to work with clients of {may}, and there are: {named}."
        " Fix: upgrade by way of a release whose NVFlare works with both"
    )
