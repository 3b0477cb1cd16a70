"""NVFlare's own command line: certificates, kits, job submission. Each call answers with one line of JSON."""

import json
import os
import subprocess
import sys
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

    def __init__(self, home: Path):
        self._home = home
        self._programs = Path(sys.executable).parent

    def run(self, *arguments: str) -> dict[str, Any]:
        """An `nvflare` command; the `data` of its answer. Raises NvflareError."""
        command = [str(self._programs / "nvflare"), "--format", "json", *arguments]
        return self._answer(" ".join(arguments[:2]), command)

    def as_administrator(self, kit: Path, user: str, action: str, argument: str) -> dict[str, Any]:
        """An action of nvflare_session.py at the running server; its `data`. Raises NvflareError."""
        script = str(Path(__file__).with_name("nvflare_session.py"))
        return self._answer(
            f"job {action}", [str(self._programs / "python3"), script, str(kit), user, action, argument]
        )

    def _answer(self, action: str, command: list[str]) -> dict[str, Any]:
        self._home.mkdir(parents=True, exist_ok=True)
        try:
            ended = subprocess.run(  # noqa: S603 - fixed program, arguments of our own
                command,
                cwd=self._home,
                env={**os.environ, "HOME": str(self._home)},
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
