"""What an operator asks of a VM's container server: through Resource Manager's run command, the only way in.

No port is opened for it; who may do it is a matter of roles on the VM, and Azure's activity log keeps each
call. https://learn.microsoft.com/azure/virtual-machines/linux/run-command
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from automation.delivery.arm import Arm
from automation.outcome import FedError, RefusedError

API_VERSION = "2024-11-01"
#: Azure's words for a VM whose agent does not answer.
SILENT = "VMAgentStatusCommunicationError"
_OUTPUT = re.compile(r"\[stdout\]\n(?P<stdout>.*?)\n?\[stderr\]", re.DOTALL)


class SilentVmError(FedError):
    """The VM runs, but nothing in it answers."""


def fedctl(arm: Arm, vm: str, *arguments: str) -> Mapping[str, Any]:
    """The answer of ``fedctl`` in the container server of `vm` (an ARM id).

    Raises:
        SilentVmError: when the VM's agent does not answer.
        RefusedError: when the container server says no.
        FedError: when it cannot be asked.
    """
    command = shlex.join(["docker", "exec", "container-server", "fedctl", *arguments])
    body = {"commandId": "RunShellScript", "script": [f'{command}; echo "exit:$?"']}
    answer = arm.post(f"{vm}/runCommand", API_VERSION, body)
    if answer.is_error:
        kind = SilentVmError if SILENT in answer.error else FedError
        raise kind(f"{_short(vm)} could not be asked for `{command}`: {answer.error}.")
    text, code = _result(answer.body)
    try:
        said: dict[str, Any] = json.loads(text)
    except ValueError:
        raise FedError(f"{_short(vm)} answered `{command}` with no JSON: {text[:500]!r}.") from None
    if code:
        kind = RefusedError if code == 1 else FedError
        raise kind(f"{_short(vm)}: `{command}` ended with {code}: {said.get('error', text)}")
    return said


def _result(body: Mapping[str, Any]) -> tuple[str, int]:
    """stdout without its last line, and the exit code in that line."""
    message = "\n".join(str(entry.get("message", "")) for entry in body.get("value", []))
    found = _OUTPUT.search(message)
    text, _, code = (found["stdout"] if found else "").strip().rpartition("exit:")
    if not code.isdigit():
        raise FedError(f"The run command came back without an exit code: {message[:500]!r}.")
    return text.strip(), int(code)


def _short(resource: str) -> str:
    return resource.rsplit("/", 1)[-1]
