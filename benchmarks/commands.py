"""How long the commands that people wait for take, and how much memory: from `fed up` to training.

    python -m benchmarks.commands [--hospitals N] [--train]

Works in a copy of this clone in a temporary folder, with packages and engine in place. Prints for each
command seconds, seconds of CPU (of everything that it waited for; the emulator and the machines not
included) and the most memory (MB) that all processes of the copy held together at once. With
`--hospitals` the dev stack has that many generated hospitals, and is previewed only.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.own_clone import Clone

DEPLOY = (("up", "--no-machines"), ("preview",), ("up", "--no-machines"), ("down",))
RUN = (("up",), ("train",), ("verify",), ("down",))
SCALE = (("preview",), ("down",))
_SAMPLE_SECONDS = 0.25


def main() -> None:
    """Run the commands one after the other and print what each took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hospitals", type=int, help="preview a dev with that many generated hospitals")
    parser.add_argument("--train", action="store_true", help="run networks and machines, and train")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder), machines=chosen.train)
        if chosen.hospitals:
            clone.edit(lambda content: generate(content, chosen.hospitals))
        try:
            print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n{'':20}seconds      CPU       MB")
            for command in SCALE if chosen.hospitals else RUN if chosen.train else DEPLOY:
                measure(clone, command)
        finally:
            clone.destroy()


def measure(clone: Clone, command: Sequence[str]) -> None:
    """Run one command and print its line."""
    ended, peak = threading.Event(), [0]

    def sample() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            peak[0] = max(peak[0], memory(clone))

    sampler = threading.Thread(target=sample)
    sampler.start()
    before, began = used(), time.monotonic()
    clone.fed(*command, seconds=3600)
    seconds, cpu = time.monotonic() - began, used() - before
    ended.set()
    sampler.join()
    print(f"{' '.join(command):20}{seconds:7.1f}  {cpu:7.1f}  {peak[0] / 2**20:7.0f}", flush=True)


def generate(content: Any, count: int) -> None:
    """Give a stack's file that many hospitals, each with a subscription and a range of its own."""
    content["config"]["fed:hospitals"] = {
        f"hospital-{number:03}": {
            "subscriptionId": f"20000000-0000-4000-8000-{number:012}",
            "addressSpace": f"10.{11 + number // 256}.{number % 256}.0/27",
        }
        for number in range(1, count + 1)
    }


def used() -> float:
    """Return the seconds of CPU of all children that have been waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def memory(clone: Clone) -> int:
    """Return the bytes that the processes of a clone hold, what they share counted once."""
    return sum(proportional(pid) for pid in clone.processes())


def proportional(pid: int) -> int:
    """Return the proportional set size of a process in bytes; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
