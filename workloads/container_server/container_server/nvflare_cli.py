"""NVFlare's own command line: certificates, kits, job submission. Each call answers with one line of JSON."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from container_server.errors import ContainerServerError

TIMEOUT_SECONDS = 120


class NvflareError(ContainerServerError):
    """NVFlare refused or failed; `code` is its error code (such as ROOTCA_FINGERPRINT_MISMATCH)."""

    def __init__(self, action: str, code: str, message: str):
        super().__init__(f"nvflare {action}: {code}: {message}")
        self.code = code


class Nvflare:
    """Runs `nvflare`, with a home folder for the audit records it writes (it needs one that is writable)."""

    def __init__(self, home: Path, program: Path | None = None):
        self._home = home
        self._program = program or Path(sys.executable).with_name("nvflare")

    def run(self, *arguments: str) -> dict[str, Any]:
        """The `data` of the answer. Raises NvflareError."""
        self._home.mkdir(parents=True, exist_ok=True)
        action = " ".join(arguments[:2])
        try:
            ended = subprocess.run(  # noqa: S603 - fixed program, arguments of our own
                [str(self._program), "--format", "json", *arguments],
                cwd=self._home,
                env=self._environment(os.environ),
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NvflareError(action, "TIMEOUT", f"no answer in {TIMEOUT_SECONDS} s") from error
        lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise NvflareError(action, "NO_ANSWER", ended.stderr.strip()[-300:])
        answer = json.loads(lines[-1])
        if answer.get("status") != "ok":
            raise NvflareError(action, str(answer.get("error_code")), str(answer.get("message")))
        return dict(answer.get("data") or {})

    def _environment(self, base: Mapping[str, str]) -> dict[str, str]:
        return {**base, "HOME": str(self._home)}
