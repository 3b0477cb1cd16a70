"""A job's processes in a container, which has process ids of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLEES = """
import os, time
from fed_site.launcher import _descendants, end_descendants, owns_process_ids, protect_this_process
protect_this_process()
assert os.getpid() == 1 and owns_process_ids()
reading, writing = os.pipe()
if os.fork() == 0:
    for _ in range(100_000):  # each one starts the next and ends
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(writing, b"x")
        time.sleep(0.0005)
    os._exit(0)
os.wait()
os.read(reading, 1)
end_descendants()
print(_descendants())
"""


def test_one_that_starts_the_next_and_ends_does_not_get_away() -> None:
    """Single kills always come too late for it."""
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*alone, sys.executable, "-c", FLEES],
        env={"PYTHONPATH": f"{ROOT}/workloads/fl_client", "FED_CONTAINER": "fl-client"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
