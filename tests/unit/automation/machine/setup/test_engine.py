"""How the Pulumi engine is found or made, with stand-ins for pulumi, go and Pulumi's own installer."""

import stat
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from automation.machine.setup import build, engine
from automation.machine.setup.problem import ProblemError
from automation.machine.setup.progress import Task
from clone import paths

VERSION = build.pinned_version()
FAKE_GO = f"""#!/bin/bash
case "$1" in
  version) echo "go version go${{GO_SAYS:-1.99.0}} linux/amd64" ;;
  list) echo "go: downloading example.org/module v1.0.0" >&2; printf '%s\\n' a b c ;;
  build) [[ -z ${{GO_FAILS-}} ]] || {{ echo "no space left on device" >&2; exit 1; }}
         echo a >&2; sleep 0.2; echo build >> "$GO_LOG"
         while [[ $1 != -o ]]; do shift; done
         printf '#!/bin/sh\\necho v{VERSION}\\n' > "$2"; chmod +x "$2" ;;
esac
"""


def executable(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(stat.S_IRWXU)
    return file


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a cache of its own, a Go that only pretends, and no way to get.pulumi.com."""
    executable(tmp_path / "bin" / "go", FAKE_GO)
    executable(tmp_path / "bin" / "uv", "#!/bin/sh\n[ $1 = --version ] && exit\necho no index >&2; exit 1\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GO_LOG", str(tmp_path / "go.log"))
    monkeypatch.setattr(engine, "_RELEASES", "http://127.0.0.1:9/install.sh")
    return tmp_path


def prepare() -> tuple[Path, Task]:
    packages: Future[None] = Future()
    packages.set_result(None)
    task = Task("engine", "")
    return engine.prepare(task, packages), task


def pulumi(folder: Path, version: str, *, host: bool = True) -> Path:
    if host:
        executable(folder / "pulumi-language-python", "#!/bin/sh\n")
    return executable(folder / "pulumi", f"#!/bin/sh\necho v{version}\n")


def alone(engine: Path) -> bool:
    """Tell whether nothing else is left next to an engine, once what removes it has ended."""
    deadline = time.monotonic() + 10
    while [file.name for file in engine.parent.iterdir()] != ["pulumi"]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class TestTheEngineOnPath:
    @pytest.mark.parametrize("version", [VERSION, "3.999.0", f"{VERSION}+dirty"])
    def test_is_taken_when_it_is_new_enough(self, machine: Path, version: str) -> None:
        on_path = pulumi(machine / "bin", version)
        assert prepare()[0] == on_path
        assert not (machine / "go.log").exists()

    @pytest.mark.parametrize("version", ["3.100.0", "2.999.0", "4.0.0", "nonsense"])
    def test_is_left_alone_when_its_version_does_not_fit(self, machine: Path, version: str) -> None:
        pulumi(machine / "bin", version)
        assert prepare()[0] == machine / "cache" / "fed" / "engine" / VERSION / "pulumi"

    def test_is_left_alone_without_its_language_host(self, machine: Path) -> None:
        pulumi(machine / "bin", VERSION, host=False)
        assert prepare()[0] != machine / "bin" / "pulumi"


class TestTheCache:
    def test_serves_another_clone(self, machine: Path) -> None:
        assert engine.cached(VERSION) is None
        found, _ = prepare()
        assert engine.cached(VERSION) == found


class TestBuilding:
    def test_leaves_nothing_but_the_engine(self, machine: Path) -> None:
        found, task = prepare()
        assert subprocess.check_output([found], text=True) == f"v{VERSION}\n"
        assert alone(found)
        assert VERSION in task.doing

    def test_killed_while_it_cleaned_up_is_cleaned_up_by_the_next_use(self, machine: Path) -> None:
        found, _ = prepare()
        (found.parent / "build" / "modules").mkdir(parents=True)
        prepare()
        assert alone(found)

    def test_happens_once_for_two_clones_at_once(self, machine: Path) -> None:
        with ThreadPoolExecutor(2) as pool:
            found = {made for made, _ in pool.map(lambda _: prepare(), range(2))}
        assert len(found) == 1
        assert (machine / "go.log").read_text() == "build\n"

    def test_shows_how_far_it_is(self, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        said: list[str] = []
        monkeypatch.setattr(Task, "say", lambda self, doing: said.append(doing))
        prepare()
        assert "downloading modules, 1 so far" in said
        assert "compiling, 1 of 3 packages" in said


class TestWhenNothingWorks:
    def test_one_message_names_every_way_its_reason_and_the_mend(
        self, machine: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GO_FAILS", "1")
        pulumi(machine / "bin", "3.1.0")
        with pytest.raises(ProblemError) as caught:
            prepare()
        text = str(caught.value)
        for part in ("3.1.0 is older", "127.0.0.1:9", "no space left on device", "Fix", "install Pulumi"):
            assert part in text
        monkeypatch.delenv("GO_FAILS")
        assert prepare()[0].exists(), "the next attempt goes on"

    def test_an_old_go_is_replaced_by_the_pinned_one_and_its_failure_is_told(
        self, machine: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GO_SAYS", "1.20.1")
        with pytest.raises(
            ProblemError,
            match=r"(?s)building it from automation/machine/setup/go/go.mod: uv ended with 1.*no index",
        ):
            prepare()


def test_the_official_release_is_taken_where_it_can_be_downloaded(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = machine / "install.sh"
    script.touch()
    monkeypatch.setattr(engine, "_RELEASES", script.as_uri())
    monkeypatch.setattr(engine, "VENV", machine / "venv")
    executable(
        machine / "venv" / "bin" / "python",
        '#!/bin/sh\nmkdir "$3/bin"; touch "$3/bin/pulumi-language-python"\n'
        'printf "#!/bin/sh\\n" > "$3/bin/pulumi"; chmod +x "$3/bin/pulumi"\n',
    )
    found, _ = prepare()
    assert sorted(file.name for file in found.parent.iterdir()) == ["pulumi", "pulumi-language-python"]
    assert not (machine / "go.log").exists()


def test_the_go_module_asks_for_no_older_engine_than_the_python_packages() -> None:
    lines = (paths.REPOSITORY / "requirements.txt").read_text().splitlines()
    sdk = next(line.split("==")[1].split()[0] for line in lines if line.startswith("pulumi=="))
    assert [int(part) for part in VERSION.split(".")] >= [int(part) for part in sdk.split(".")]
