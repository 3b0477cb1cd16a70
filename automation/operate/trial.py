"""`fed jobs try`: runs a job on this machine at made-up hospitals, and says what would leave them.

The platform's own code does it (`workloads/trial`), in the environments that the images are made of; here are
its programs, and its answers in words.
"""

import asyncio
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from automation.machine.ahead import run_command
from automation.operate.manifest import describe
from automation.ui.outcome import QuestionError, RefusedError
from clone import paths
from emulator.datacentre import installed
from workloads.fl_client.fed_site.manifest import BASE, Manifest

WORKLOADS = paths.REPOSITORY / "workloads"
_PACKAGES = ("trial", "container_server", "fl_server", "fl_client", "data")
_NO_NETWORK = ("unshare", "--user", "--map-root-user", "--net", "--")
_NO_IMAGE = f"@sha256:{'0' * 64}"
"""No image is made for a trial."""
Event = Mapping[str, Any]


def run(folder: Path, words: Sequence[str]) -> Iterator[Event]:
    """Run a job's folder at made-up hospitals; yield what happens.

    Raises QuestionError for a folder that is no job, RefusedError where the job would have failed.
    """
    box = _box(folder)
    programs = asyncio.run(_programs(box))
    path = ":".join(str(WORKLOADS / package) for package in _PACKAGES)
    command = [str(programs[0]), "-m", "fed_trial", str(folder), "--program", _in_a_box(programs[1]), *words]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": path,
        "FED_BOX_PATH": str(WORKLOADS / "fl_client"),
        "FED_ANSWERS": str(WORKLOADS / "trial" / "answers"),  # how long a script may take for an answer
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603
        for line in process.stdout or ():
            yield json.loads(line)
        code = process.wait()
    if code == 1:
        raise RefusedError("the job would have failed: see above")
    if code:
        raise QuestionError("the job was not tried: see above")


def sentences(event: Event, *, printed: bool) -> Iterator[str]:
    """Yield an event in words; what the code printed only where that is wanted."""
    if "manifest" in event:
        yield "What the hospitals' officers would read:"
        lines = describe(Manifest.read(json.dumps(event["manifest"]).encode()))
        yield from (line.replace(_NO_IMAGE, "") for line in lines)
    elif "refused" in event:
        yield f"refused: {event['refused']}"
    elif "printed" in event:
        yield from [f"{event['hospital']} printed: {event['printed']}"] if printed else []
    elif "rows" in event:
        yield f"{event['hospital']}: {event['rows']} made-up rows of {event['file']}"
    elif "gates" in event:
        yield from (f"gate {'passed' if passed else 'failed'}: {text}" for passed, text in event["gates"])
    elif "end" in event:
        yield f"The job would have failed: {event['end']}" if event["end"] else "The job would have run."
    else:
        yield _answer(event)


def _answer(event: Event) -> str:
    where = f"round {event['round']}" if "round" in event else "afterwards"
    if "federation" in event:
        counts = "".join(f"; {name} {_cells(cells)}" for name, cells in event["histograms"].items())
        return f"{where}, the federation: {_numbers(event['federation']) or 'no metrics'}{counts}"
    if "dropped" in event:
        said = (
            f"\n    its box's last words (they stay at a real hospital): {event['said']}"
            if event.get("said")
            else ""
        )
        return f"{where}, {event['hospital']}: nothing counts; {event['dropped']}{said}"
    if "model_of" in event:
        return f"{event['hospital']} measures the model of {event['model_of']}: {_numbers(event['metrics'])}"
    left = event["left"]
    scaled = f", scaled down from {event['made']:.3g}" if event["made"] > 1.01 * event["length"] else ""
    withheld = left.get("not announced", [])
    return (
        f"{where}, {event['hospital']}: {left['numbers']} numbers of a difference leave (length "
        f"{event['length']:.3g}{scaled}, {left['patients'] or 'unknown'} patients), "
        f"{_numbers(left['metrics']) or 'no metrics'}"
        + (f"; stays, as job.yaml does not name it: {', '.join(withheld)}" if withheld else "")
    )


def _cells(counts: Sequence[float]) -> str:
    return " ".join(f"{count:.3g}" for count in counts)


def _numbers(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(metrics.items()))


def _box(folder: Path) -> str:
    """Return the box that a job asks for. Raises QuestionError."""
    try:
        content = yaml.safe_load((folder / "job.yaml").read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise QuestionError(f"{folder / 'job.yaml'} cannot be read: {error}") from error
    box = content.get("box", BASE) if isinstance(content, dict) else BASE
    if not _requirements(box).is_file():
        known = ", ".join(sorted(path.parent.name for path in WORKLOADS.glob("boxes/*/requirements.txt")))
        raise QuestionError(f"{folder.name} asks for the box {box!r}; there are {BASE}, {known}")
    return str(box)


def _requirements(box: Any) -> Path:
    folder = WORKLOADS / "fl_client" if box == BASE else WORKLOADS / "boxes" / str(box)
    return folder / "requirements.txt"


async def _programs(box: str) -> tuple[Path, Path]:
    """Python of the container server's image and of the box's, made where they are not there yet."""
    files = (WORKLOADS / "container_server" / "requirements.txt", _requirements(box))
    made = [await installed.python_environment(paths.cache(), file, run_command) for file in files]
    return made[0] / "bin" / "python", made[1] / "bin" / "python"


def _in_a_box(python: Path) -> str:
    """Return the command of a box: without a network, as far as this machine can do that for its user."""
    words = [str(python), "-m", "fed_box.run"]
    return shlex.join([*_NO_NETWORK, *words] if _can_be_without_network() else words)


def _can_be_without_network() -> bool:
    if not shutil.which(_NO_NETWORK[0]):
        return False
    return subprocess.run([*_NO_NETWORK, "true"], check=False, capture_output=True).returncode == 0  # noqa: S603
