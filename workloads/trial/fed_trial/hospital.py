"""A made-up hospital: its table, its box with the job's code, and its airlock with the platform's bounds."""

import json
import math
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from container_server.hospital.box_input import BoxInput
from fed_box.channel import LOOK_SECONDS, SOCKET, listening
from fed_site import box
from fed_site.box_executor import BoxExecutor
from fed_site.filters import Airlock, SentModel
from fed_site.manifest import Manifest
from fed_site.notes import Notes
from fed_site.patients import OwnFiles
from nvflare.apis.dxo import DataKind, from_shareable
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContextManager
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

LOG = "box.log"
DATA = "/data"
_GRACE_SECONDS = 5.0


@final
class Hospital:
    """`folder` has its table in `data`; the rest of it is made here.

    `program` is the command that runs `fed_box.run`, in the box's own environment.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        code: Mapping[str, bytes],
        executor: Mapping[str, Any],
        manifest: Manifest,
        program: Sequence[str],
    ):
        self.name = name
        self.log = folder / LOG
        self.job = str(uuid.uuid4())
        self._folder = folder
        self._program = list(program)
        self.length = 0.0
        """Of the difference that the job's code made last (L2 norm), before the airlock."""
        self._process: subprocess.Popen[bytes] | None = None
        self._files = OwnFiles(folder / "data")
        for part in ("box", "input", "scratch"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for path, content in code.items():
            target = folder / "box" / "code" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        BoxInput(folder / "data", folder / "input").fill(manifest.data)
        (folder / "airlock.json").write_text("{}")
        self._airlock = Airlock(
            self._files,
            Notes(folder / "releases"),
            folder=folder,
            policy=folder / "airlock.json",
            manifest=manifest,
            keep=_nowhere,
        )
        self._sent = SentModel()
        self._executor = BoxExecutor(**{**executor, "arguments": self._placed(executor["arguments"])})
        self._executor._code = folder / "box" / "code"
        self._executor._meet = self._meet
        self._context = FLContextManager(identity_name=name, job_id=self.job).new_context()

    @property
    def patients(self) -> int:
        """Rows of its table."""
        return self._files.patients

    def answer(self, task: str, shareable: Shareable) -> Shareable:
        """What leaves the hospital: the job's answer to a task, behind the airlock."""
        self._context.set_prop(FLContextKey.TASK_NAME, task, private=True, sticky=False)
        self._sent.process(shareable, self._context)
        reply = self._executor.execute(task, shareable, self._context, Signal())
        self.length = _length(reply, from_shareable(shareable).data)
        return self._airlock.process(reply, self._context)

    def noted(self) -> dict[str, Any]:
        """What the hospital's record says of the last answer."""
        notes = (self._folder / "releases" / f"{self.job}.jsonl").read_text().splitlines()
        last: dict[str, Any] = json.loads(notes[-1])
        return last

    def printed(self) -> list[str]:
        """What the job's code said in its box: at a real hospital it stays there."""
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def last_words(self) -> str:
        """The last line that its box has said: of an error, its class and text."""
        return next((line for line in reversed(self.printed()) if line.strip()), "")

    def close(self) -> None:
        """The run is over: an honest script ends by itself."""
        self._executor._close()
        if self._process:
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _meet(self, stop: Any) -> box.Box:
        """Start the box and wait until it has connected; from then on it is the platform's."""
        with listening(self._folder / "box" / SOCKET, LOOK_SECONDS) as listener, self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 the author's own code, on his own machine
                self._program,
                cwd=self._folder / "scratch",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            while self._process.poll() is None:
                try:
                    return box.Box(listener.accept()[0])
                except TimeoutError:
                    continue
        raise box.NoBoxError(f"the box ended with {self._process.returncode}: see {self.log}")

    def _placed(self, words: Sequence[Any]) -> list[Any]:
        """A box has its data in /data, this one in a folder."""
        data = str(self._folder / "input")
        return [
            data + word.removeprefix(DATA) if f"{word}/".startswith(f"{DATA}/") else word for word in words
        ]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.environ["FED_BOX_PATH"],
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "FED_BOX": str(self._folder / "box"),
            "FED_DATA": str(self._folder / "input"),
            "HOME": str(self._folder / "scratch"),
            "TMPDIR": str(self._folder / "scratch"),
        }


def _nowhere(ledger: Path) -> None:
    """A made-up hospital has no account of its own: its ledgers are gone with its folder."""


def _length(reply: Shareable, sent: Mapping[str, Any]) -> float:
    if reply.get_return_code() != ReturnCode.OK:
        return 0.0
    answer = from_shareable(reply)
    if answer.data_kind not in (DataKind.WEIGHTS, DataKind.WEIGHT_DIFF) or set(answer.data) != set(sent):
        return 0.0
    whole = answer.data_kind == DataKind.WEIGHTS
    changes = [array - sent[name] if whole else array for name, array in answer.data.items()]
    return math.sqrt(sum(float((np.asarray(one, "f8") ** 2).sum()) for one in changes))
