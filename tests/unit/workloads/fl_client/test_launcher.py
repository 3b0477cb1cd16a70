"""What a job does to its workspace, or leaves running, is gone before the next one starts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fed_site import box, launcher
from nvflare.apis.fl_constant import JobConstants
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobHandleSpec
from nvflare.app_common.job_launcher.client_process_launcher import ClientProcessJobLauncher

from tests.unit.support.job_archives import manifest_content

JOB, EARLIER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"

STAYS = """
import os, signal
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, str(os.getpid()).encode())
        signal.pause()
    os._exit(0)
os.wait()
left = int(os.read(reading, 20))
"""


def run(job: str) -> str:
    """Run a job's code in a process of its own that then ends its descendants; what is left below it."""
    script = f"""
from fed_site.launcher import _descendants, end_descendants, protect_this_process
protect_this_process()
{job}
assert left is None or left in _descendants(), _descendants()
end_descendants()
print(_descendants(), left is not None and os.path.exists(f"/proc/{{left}}"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=_environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}


def test_nothing_that_a_job_started_outlives_it() -> None:
    assert run(STAYS) == "[] False"


def test_all_processes_are_killed_at_once_only_where_they_are_the_containers() -> None:
    assert not launcher.owns_process_ids()
    dockerfile = (Path(launcher.__file__).parent.parent / "Dockerfile").read_text()
    assert "FED_CONTAINER=fl-client" in dockerfile


def test_other_processes_of_the_same_user_cannot_read_the_clients_memory() -> None:
    script = """
from fed_site.launcher import protect_this_process
protect_this_process()
import ctypes
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=_environment(),
    )
    assert done.stdout.strip() == "0"  # PR_GET_DUMPABLE of <linux/prctl.h>


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit and the workspace made of it; the launcher works on them."""
    for part in ("startup", "local"):
        (tmp_path / "kit" / part).mkdir(parents=True)
        (tmp_path / "kit" / part / "privacy.json").write_text("right")
        (tmp_path / "work/workspace" / part).mkdir(parents=True)
    (tmp_path / "work/workspace" / JOB).mkdir()
    monkeypatch.setattr(launcher, "KIT", tmp_path / "kit")
    monkeypatch.setattr(launcher, "WORK", tmp_path / "work")
    monkeypatch.setattr(launcher, "protect_this_process", lambda: None)
    monkeypatch.setattr(launcher, "end_descendants", lambda: None)
    monkeypatch.setattr(box, "BOX", tmp_path / "box")
    monkeypatch.setattr(box, "ORDER", tmp_path / "work/box.json")
    return tmp_path


def launched(monkeypatch: pytest.MonkeyPatch, places: Path) -> dict[str, str]:
    """Launch a job; what its process finds in `local`: file name -> content."""
    found: dict[str, str] = {}

    def start(*_: Any) -> None:
        local = places / "work/workspace/local"
        found.update({path.name: path.read_text() for path in local.iterdir()})

    monkeypatch.setattr(ClientProcessJobLauncher, "launch_job", start)
    launcher.JobLauncher().launch_job({JobConstants.JOB_ID: JOB}, FLContext())
    return found


def test_each_job_starts_with_the_hospitals_policy(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = places / "work/workspace/local"
    (local / "privacy.json").write_text("wrong")
    (local / "custom.py").write_text("planted")
    assert launched(monkeypatch, places) == {"privacy.json": "right"}


def test_a_link_in_place_of_the_policy_is_not_followed(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = places / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    (places / "work/workspace/local").rmdir()
    (places / "work/workspace/local").symlink_to(elsewhere)
    assert launched(monkeypatch, places) == {"privacy.json": "right"}
    assert (elsewhere / "kept").read_text() == "kept"


def test_a_job_finds_no_other_jobs_files(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "work/workspace" / EARLIER).mkdir()
    launched(monkeypatch, places)
    assert (places / "work/workspace" / JOB).is_dir()
    assert not (places / "work/workspace" / EARLIER).exists()


def test_what_arrived_once_starts_once(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, places)
    with pytest.raises(launcher.StartedBeforeError):
        launched(monkeypatch, places)


class Process(JobHandleSpec):  # type: ignore[misc]  # nvflare has no types
    """A job's process that ends at once."""

    def terminate(self) -> None:
        """Nothing to end."""

    def poll(self) -> None:
        """Nothing to tell."""

    def wait(self) -> None:
        """Over."""


def test_a_job_with_code_has_its_box_for_as_long_as_it_runs(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, app = places / "work/code" / JOB, places / "work/workspace" / JOB / "app_basel"
    for folder in (code, app):
        folder.mkdir(parents=True)
    (code / "train.py").write_text("print()")
    (app / "manifest.json").write_text(json.dumps(manifest_content()))
    monkeypatch.setattr(ClientProcessJobLauncher, "launch_job", lambda *_: Process())

    def wanted() -> Any:
        return json.loads(box.ORDER.read_text())["job"]

    running = launcher.JobLauncher().launch_job({JobConstants.JOB_ID: JOB}, FLContext())
    assert wanted() == JOB
    assert json.loads(box.ORDER.read_text())["data"] == {"heart.csv": ["age"]}
    assert (places / "box/code/train.py").is_file()
    launcher.JobHandle(Process(), EARLIER).wait()  # which ended late
    assert wanted() == JOB
    running.wait()
    assert wanted() is None


def test_a_job_without_code_has_none(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "work/workspace" / JOB / "app_basel/config").mkdir(parents=True)
    launched(monkeypatch, places)
    assert not box.ORDER.exists()
