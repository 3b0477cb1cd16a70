"""Faults on purpose at the front of Resource Manager, for `fed chaos`: off without FED_EMULATOR_FAULTS.

The variable names a file of orders (`Orders`), which is read again whenever it changes. Each operation that
is not spared meets the ordered fault; what met it is added to the file ``<orders>.met``, a line each.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

from emulator.arm import ids
from emulator.arm.answers import STATUS_URL, Answers
from emulator.arm.control_plane import ControlPlane
from emulator.arm.messages import Request, Response
from emulator.arm.operations import begin, pending_headers
from emulator.arm.resources import RESOURCE_GROUP
from emulator.arm.tokens import Caller

Handle = Callable[[Request], Response]

VARIABLE: Final = "FED_EMULATOR_FAULTS"
MIXED: Final = "mixed"
SLOW_SECONDS: Final = 0.05
_WRITES: Final = frozenset({"PUT", "PATCH", "DELETE", "POST"})
_RANDOM: Final = re.compile(r"\b((?:st|kv|cr)fed[a-z0-9]+)[a-z0-9]{6}\b")
"""Names that are unique in all of Azure: they end in six random characters (federation/naming.py)."""
_LATE: Final = {"code": "InternalExecutionError", "message": "An internal execution error occurred."}


class LostAnswerError(ConnectionError):
    """What was asked is done, and the connection was closed before the answer."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What is to happen: `fault` is a name of `FAULTS`, `MIXED` or empty; `spared` operations meet none.

    With `MIXED` each operation meets the fault that falls to it by its name and the `seed`, and with the next
    `turn` the next fault that fits it: after as many turns as there are faults it has met each of them.
    """

    fault: str = ""
    spared: Sequence[str] = ()
    seed: int = 0
    turn: int = 0

    def falling_to(self, operation: str) -> str:
        """Return the name of the fault that an operation meets, empty for none."""
        if self.fault != MIXED:
            return self.fault
        fitting = fitting_to(operation)
        return fitting[(crc32(f"{self.seed} {operation}".encode()) + self.turn) % len(fitting)]

    @classmethod
    def load(cls, file: Path) -> Orders:
        """Return the orders in a file, none where there is no file."""
        try:
            return cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            return cls()

    def write(self, file: Path) -> None:
        """Write the file in one step."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(file)


def met_by(orders: Path) -> Path:
    """Return the file that lists the operations that met a fault."""
    return orders.with_suffix(".met")


def front(plane: ControlPlane) -> Handle:
    """Return what answers the requests to a control plane: itself, unless this daemon is told of faults."""
    file = os.environ.get(VARIABLE)
    return Front(plane, Path(file)).handle if file else plane.handle


class Front:
    """Answers for a control plane, and with the ordered faults. Any thread may call."""

    def __init__(self, plane: ControlPlane, file: Path) -> None:
        self._plane, self._file = plane, file
        self._lock = threading.Lock()
        self._read_at = -1
        self._orders = Orders()
        self._names: dict[tuple[str, str], str] = {}
        self._alike: Counter[str] = Counter()
        self._met: Counter[str] = Counter()

    def handle(self, request: Request) -> Response:
        """Answer a request; raise LostAnswerError in place of an answer that is to be lost."""
        fault = self._fault(request)
        return self._plane.handle(request) if fault is None else fault.answer(self._plane, request)

    def _fault(self, request: Request) -> Fault | None:
        if not request.path.lower().startswith(("/subscriptions/", "/providers/")):
            return None
        with self._lock:
            self._read()
            name = self._name(request)
            fault = FAULTS.get(self._orders.falling_to(name))
            if fault is None or (fault.writes_only and request.method not in _WRITES):
                return None
            if name in self._orders.spared or (fault.once and self._met[name]):
                return None
            if not self._met[name]:
                with met_by(self._file).open("a") as met:
                    met.write(f"{name}\n")
            self._met[name] += 1
            return fault

    def _read(self) -> None:
        try:
            changed = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            changed = 0
        if changed != self._read_at:
            self._read_at, self._orders = changed, Orders.load(self._file)
            for remembered in (self._names, self._alike, self._met):
                remembered.clear()

    def _name(self, request: Request) -> str:
        """Name an operation in a way that the next deployment knows, too; equal ones are numbered."""
        asked = (request.method, request.path.lower())
        if asked not in self._names:
            alike = f"{request.method} {_without_chance(request.path)}"
            self._alike[alike] += 1
            self._names[asked] = f"{alike} #{self._alike[alike]}"
        return self._names[asked]


def _without_chance(path: str) -> str:
    scope, _, rest = path.partition("/resourceGroups/")
    return f"{scope}/resourceGroups/{_stable(rest)}" if rest else _stable(path)


def _stable(path: str) -> str:
    return _RANDOM.sub(r"\1*", ids.GUID.sub("*", path))


# The faults


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault; `once` says that the same operation is answered well when it is asked again."""

    answer: Callable[[ControlPlane, Request], Response]
    once: bool
    writes_only: bool = False


def _refusal(status: int, code: str, headers: Mapping[str, str] | None = None) -> Response:
    error = {"code": code, "message": f"A fault on purpose: {code}."}
    return Response(status=status, headers=headers or {}, body={"error": error})


def _throttled(plane: ControlPlane, request: Request) -> Response:
    return _refusal(429, "SubscriptionRequestsThrottled", {"retry-after-ms": "20"})


def _broken(plane: ControlPlane, request: Request) -> Response:
    return _refusal(500, "InternalServerError")


def _busy(plane: ControlPlane, request: Request) -> Response:
    return _refusal(409, "AnotherOperationInProgress")


def _in_conflict(plane: ControlPlane, request: Request) -> Response:
    return _refusal(409, "Conflict")


def _lost(plane: ControlPlane, request: Request) -> Response:
    plane.handle(request)
    raise LostAnswerError("the connection was closed before the answer")


def _done_and_broken(plane: ControlPlane, request: Request) -> Response:
    plane.handle(request)
    return _broken(plane, request)


def _done_and_refused(plane: ControlPlane, request: Request) -> Response:
    plane.handle(request)
    return _in_conflict(plane, request)


def _slow(plane: ControlPlane, request: Request) -> Response:
    time.sleep(SLOW_SECONDS)
    return plane.handle(request)


def _fails_later(plane: ControlPlane, request: Request) -> Response:
    """Accept a write that goes on after its answer, then fail it; answer any other as usual."""
    if request.method == "DELETE":
        return _failed(plane, request, Response(status=202)) or plane.handle(request)
    answer = plane.handle(request)
    return _failed(plane, request, answer) or answer


def _failed(plane: ControlPlane, request: Request, accepted: Response) -> Response | None:
    """Let an accepted write end in failure; None for one that has ended when it is answered."""
    path = ids.parse(request.path)
    if path is None or accepted.status >= 300:
        return None
    with plane.context(Caller(), request.query) as context:
        row = context.tx.get(path.key)
        urls = _followed(context.type_of(row).answers, request.method, accepted.status) if row else ()
        if row is None or not urls:
            return None
        row.state = "Succeeded" if row.type == RESOURCE_GROUP else "Failed"
        context.tx.put(row)
        operation = begin(context, row, request.method, seconds=0)
        context.tx.end_operation(operation, "Failed", {"status": 500, "error": _LATE})
        headers = pending_headers(context, request, row.key, operation, wait=0.02, urls=urls)
    return Response(status=accepted.status, headers=headers, body=accepted.body)


def _followed(how: Answers, method: str, status: int) -> tuple[str, ...]:
    """Return where a client follows an accepted write, as azcore's poller does; empty where it does not."""
    if method == "DELETE":
        return how.deleted_urls if how.deleted == 202 else ()
    return how.written_urls if status == 202 or STATUS_URL in how.written_urls else ()


FAULTS: Final[Mapping[str, Fault]] = {
    "429": Fault(answer=_throttled, once=True),
    "500 once": Fault(answer=_broken, once=True),
    "500": Fault(answer=_broken, once=False),
    "409 busy": Fault(answer=_busy, once=True, writes_only=True),
    "409": Fault(answer=_in_conflict, once=False, writes_only=True),
    "lost answer": Fault(answer=_lost, once=True),
    "done, then 500": Fault(answer=_done_and_broken, once=True, writes_only=True),
    "done, then 409": Fault(answer=_done_and_refused, once=False, writes_only=True),
    "fails later": Fault(answer=_fails_later, once=True, writes_only=True),
    "slow": Fault(answer=_slow, once=True),
}


def fitting_to(operation: str) -> Sequence[str]:
    """Return the names of the faults that an operation (its method, and what for) can meet."""
    writes = operation.partition(" ")[0] in _WRITES
    return [name for name, fault in FAULTS.items() if writes or not fault.writes_only]
