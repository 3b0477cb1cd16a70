"""What `fed doctor` says of the box in which a job's code runs."""

import subprocess
from types import SimpleNamespace

import pytest

from automation.machine import doctor
from emulator.datacentre.settings import Settings


def test_what_a_box_has_here_and_what_docker_adds() -> None:
    found = doctor._box()
    assert found.state == doctor.GOOD
    here, docker = found.detail.split("; on Docker alone, not here: ")
    assert "a filter of system calls" in here
    assert "limits of memory and processors" in docker


def test_a_plain_user_has_one_user_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "of", lambda: SimpleNamespace(rootless=True))
    assert "not here: a user of its own" in doctor._box().detail


def test_a_kernel_without_the_filter_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Traceback\nConfineError: [Errno 22] the kernel takes no filter of system calls\n"
    failed = subprocess.CompletedProcess[str]([], 1, "", said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    found = doctor._box()
    assert (found.state, "the kernel takes no filter" in found.detail) == (doctor.BAD, True)
    assert "CONFIG_SECCOMP_FILTER" in found.fix
