"""The datacentre works for a plain user as for root: the same tests, run as somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clone import paths
from emulator.datacentre import checks

NOBODY = 54321
"""A uid that no account of this machine has."""
TESTS = ("test_names.py", "test_machines.py", "test_rootless.py")
CHOSEN = "TestInMachines or TestBoot or TestIsolation or TestOperators or offers"


def python() -> str | None:
    """Return an interpreter that every user may run and that fits this environment's packages."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")
    return str(Path(found).resolve()) if found else None


def _lend(folder: Path, at: Path) -> str:
    """Return the command that shows a folder of this user's cache in the other one's: saves a download."""
    at.mkdir(parents=True)
    for made in (at, *list(at.parents)[:3]):
        os.chown(made, NOBODY, NOBODY)
    return f"chmod 755 {folder}; mount --bind {folder} {at}"


@pytest.mark.skipif(os.getuid() != 0, reason="the whole suite is already run by a plain user")
@pytest.mark.skipif(python() is None, reason="no interpreter of this version that every user may run")
def test_a_plain_user_has_the_same_datacentre() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        cache = home / ".cache" / "fed" / "azurite"
        installed = (made.parent for made in (paths.cache() / "azurite").glob("*/.complete"))
        mounts = [_lend(folder, cache / folder.name) for folder in installed]
        ran = subprocess.run(
            [
                *("unshare", "--mount", "sh", "-ec", "; ".join([*mounts, 'exec "$@"']), "sh"),
                *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
                *("--bounding-set=-all", "--inh-caps=-all", "--"),
                *(str(python()), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHOSEN),
                *(str(Path(__file__).with_name(name)) for name in TESTS),
            ],
            cwd=paths.REPOSITORY,
            env={
                "HOME": str(home),
                "PATH": f"/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:{Path(sys.executable).parent}",
                "PYTHONPATH": os.pathsep.join([str(paths.REPOSITORY), *filter(None, sys.path)]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HYPOTHESIS_STORAGE_DIRECTORY": str(home / "hypothesis"),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


def test_the_machine_offers_what_the_datacentre_needs() -> None:
    findings = checks.run()
    assert {finding.name for finding in findings} >= {"unshare", "nft", "libnftables", "sandbox"}
    assert [finding for finding in findings if not finding.good] == []
