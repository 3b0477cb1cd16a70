"""nftables through its own library, in process: a transaction under a millisecond, a process fifteen."""

from __future__ import annotations

import ctypes
import functools
import json
from typing import Any

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace

_JSON_OUTPUT = 1 << 4


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as missing:
        raise DatacentreError(
            "libnftables.so.1 is missing: without it no security group can be enforced. "
            "Debian, Ubuntu: apt-get install nftables"
        ) from missing
    context = ctypes.c_void_p
    library.nft_ctx_new.restype = context
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
        getattr(library, name).argtypes = [context]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
        getattr(library, name).argtypes = [context]
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    return library


class Nft:
    """The rules of one namespace: each `run` is one transaction, all of it or nothing."""

    def __init__(self, namespace: Namespace) -> None:
        self._name = namespace.name
        self._library = _library()
        with namespace.entered():  # the library opens its netlink socket here, and it stays in this namespace
            self._context = self._library.nft_ctx_new(0)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, text: str) -> None:
        """Apply commands or a ruleset; raises DatacentreError with the library's own message."""
        self._run(text, 0)

    def read(self, command: str) -> list[dict[str, Any]]:
        """Return the JSON objects that a `list` command answers."""
        found: list[dict[str, Any]] = json.loads(self._run(command, _JSON_OUTPUT))["nftables"]
        return found

    def elements(self, table: str, name: str) -> list[dict[str, Any]]:
        """Return the elements of a set, each with ``val`` and what else it carries."""
        answer = self.read(f"list set {table} {name}")
        raw = next(item["set"] for item in answer if "set" in item).get("elem", [])
        return [
            entry["elem"] if isinstance(entry, dict) and "elem" in entry else {"val": entry} for entry in raw
        ]

    def close(self) -> None:
        """Close the netlink socket."""
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def _run(self, text: str, flags: int) -> str:
        self._library.nft_ctx_output_set_flags(self._context, flags)
        failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        error: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        if failed:
            raise DatacentreError(
                f"nftables in {self._name} refused: {error.decode(errors='replace').strip()[:1000]}"
            )
        return output.decode()
