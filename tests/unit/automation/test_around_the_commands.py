"""The house around the commands: shells, packages of the system, the suite, going down, pinned tools."""

import io
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from rich.console import Console

from automation.machine import doctor, search_path, suite, system
from automation.stacks import shell, take_down
from automation.stacks.target import azure_environment, emulator_environment, heap
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from emulator import azure_cli
from emulator.control import Emulator
from emulator.record import Record

ROOT = paths.REPOSITORY


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:
    record = Record(
        pid=1,
        started=1,
        plugins="127.0.0.1:1",
        arm="https://127.0.0.1:2",
        socket=f"{tmp_path}/s",
        backend=f"file://{tmp_path}/it's a home/backend",
        code="",
    )
    return Emulator(ROOT, tmp_path / "it's a home", record)


ENGINE: Any = SimpleNamespace(folder=Path("/opt/pulumi"))


class TestAShell:
    def test_is_turned_back_in_everything_that_was_turned(self, emulator: Emulator, tmp_path: Path) -> None:
        exported = {*emulator_environment(emulator, ENGINE), *azure_cli.VARIABLES} - {"FED_HOME"}
        unset = {line.split()[1].partition("=")[0] for line in shell.unset_lines()}
        assert exported == unset

    def test_survives_folders_with_quotes_and_spaces(
        self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shell, "Engine", lambda: ENGINE)
        monkeypatch.setattr(shell, "_make_stacks", lambda workspace: None)
        monkeypatch.setattr(shell, "_azure_cli", lambda emulator: {})
        monkeypatch.setattr("automation.stacks.shell.Emulator.ensure", lambda: emulator)
        lines = "\n".join(shell.export_lines())
        said = subprocess.check_output(
            ["/bin/sh", "-c", f'{lines}\nprintf %s "$PULUMI_BACKEND_URL"'], text=True
        )
        assert said == emulator.record.backend

    def test_finds_the_emulators_plugins_before_any_other(self, emulator: Emulator) -> None:
        first = emulator_environment(emulator, ENGINE)["PATH"].split(os.pathsep)[0]
        assert Path(first, "pulumi-resource-azure-native").exists()

    def test_turned_to_the_emulator_cannot_reach_azure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FED_EMULATOR", "127.0.0.1:1")
        with pytest.raises(QuestionError, match="env --unset"):
            azure_environment(ENGINE)

    def test_for_azure_holds_nothing_of_the_emulator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plugins = ROOT / "emulator" / "plugins" / "bin"
        monkeypatch.setenv("PATH", f"{plugins}:/usr/bin")
        environment = azure_environment(ENGINE)
        assert str(plugins) not in environment["PATH"]
        assert not {"PULUMI_BACKEND_URL", "FED_EMULATOR", "PULUMI_HOME"} & set(environment)


@pytest.mark.parametrize(
    ("hospitals", "own", "set_to"), [(3, None, None), (100, None, "60"), (100, "90", "90")]
)
def test_the_engine_of_many_hospitals_holds_less_garbage(
    monkeypatch: pytest.MonkeyPatch, hospitals: int, own: str | None, set_to: str | None
) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    if own:
        monkeypatch.setenv("GOGC", own)
    settings: Any = SimpleNamespace(hospitals=dict.fromkeys(range(hospitals)))
    assert heap(settings).get("GOGC") == set_to
    assert heap(None) == {}


class TestThePath:
    def test_gets_what_users_lack_behind_their_own_and_gives_it_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search_path, "_added", [])
        monkeypatch.setenv("PATH", "/opt/mine:/usr/bin:/sbin:/opt/mine")
        search_path.extend()
        extended = os.environ["PATH"]
        assert extended.startswith("/opt/mine:/usr/bin:/sbin") and "/usr/sbin" in extended.split(":")
        assert search_path.without_added(extended) == "/opt/mine:/usr/bin:/sbin"


class TestPackagesOfTheSystem:
    def test_that_are_there_are_not_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "missing_packages", lambda need: [])
        monkeypatch.setattr(system, "_quietly", lambda command: pytest.fail("nothing to install"))
        system.require_packages()

    def test_are_installed_by_root_and_said(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        missing, commands = ["nftables"], []

        def quietly(command: Sequence[str]) -> str:
            commands.append(list(command))
            missing.clear()
            return ""

        monkeypatch.setattr(system, "missing_packages", lambda need: list(missing))
        monkeypatch.setattr(system, "_quietly", quietly)
        monkeypatch.setattr(
            "automation.machine.system.shutil.which", lambda name, path=None: f"/usr/bin/{name}"
        )
        monkeypatch.setattr("automation.machine.system.os.geteuid", lambda: 0)
        system.require_packages()
        assert commands[0][0] == "apt-get" and commands[0][-1] == "nftables" and "install" in commands[0]
        assert "nftables" in capsys.readouterr().err

    def test_are_asked_of_everybody_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "missing_packages", lambda need: ["iproute2", "nftables"])
        monkeypatch.setattr(
            "automation.machine.system.shutil.which", lambda name, path=None: f"/usr/bin/{name}"
        )
        monkeypatch.setattr("automation.machine.system.os.geteuid", lambda: 1000)
        with pytest.raises(FedError, match="sudo apt-get install iproute2 nftables"):
            system.require_packages()

    def test_are_those_of_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "automation.machine.system.shutil.which", lambda name: None if name == "mcs" else name
        )
        need = system.Need(
            who="somebody",
            programs=system.POWER_BI.programs,
            libraries={"libnone.so.9": "libnone9"},
            files={"/nowhere": "nowhere-dev", __file__: "here-dev"},
        )
        assert system.missing_packages(need) == ["libnone9", "mono-mcs", "nowhere-dev"]


class TestTheSuite:
    def test_refuses_a_part_that_does_not_exist(self) -> None:
        with pytest.raises(QuestionError, match="lint, e2e"):
            suite.run(["units"], 1, None, None)

    @pytest.mark.parametrize(("body", "passed"), [("assert True", True), ("assert False", False)])
    def test_ends_with_pytests_own_summary(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], body: str, passed: bool
    ) -> None:
        file = tmp_path / "test_it.py"
        file.write_text(f"def test_it() -> None:\n    {body}\n")
        assert suite.run([str(file)], 1, None, None) is passed
        last = capfd.readouterr().out.strip().splitlines()[-1]
        assert re.search(r"\b1 (passed|failed) in ", last)

    @pytest.mark.parametrize(("parts", "ran"), [([], "short"), (["long"], "long")])
    def test_runs_campaigns_only_when_asked(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], parts: list[str], ran: str
    ) -> None:
        (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
        file = tmp_path / "test_it.py"
        file.write_text(
            "import pytest\n"
            f"def test_short(): assert {ran == 'short'}\n"
            f"@pytest.mark.long\ndef test_long(): assert {ran == 'long'}\n"
        )
        assert suite.run([*parts, str(file)], 1, None, None)
        assert "1 passed, 1 deselected" in capfd.readouterr().out

    def test_runs_in_the_same_order_for_the_same_number(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "test_it.py"
        file.write_text("".join(f"def test_{n}(): print('ran', {n})\n" for n in range(20)))
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --capture=no\n")

        def ran(order: int | None) -> list[str]:
            assert suite.run([str(file)], 1, None, order)
            return re.findall(r"ran (\d+)", capfd.readouterr().out)

        as_written = [str(n) for n in range(20)]
        assert ran(None) == as_written
        first, again, other = ran(1), ran(1), ran(2)
        assert first == again
        assert as_written != first != other != as_written
        assert sorted(first) == sorted(other) == sorted(as_written)

    def test_that_ran_no_test_is_no_success(self, tmp_path: Path) -> None:
        file = tmp_path / "test_nothing.py"
        file.touch()
        with pytest.raises(FedError, match="exit code 5"):
            suite.run([str(file)], 1, None, None)


class TestGoingDown:
    def ask(self, name: str, on: On, **said: Any) -> None:
        target: Any = SimpleNamespace(name=name, emulator=None if on is On.AZURE else object())
        take_down._ask(target, **{"yes": False, "confirmed": None, **said})

    @pytest.fixture(autouse=True)
    def nobody_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO())

    @pytest.mark.parametrize("on", list(On))
    def test_prod_wants_its_name_and_yes_is_not_enough(self, on: On) -> None:
        for said in ({}, {"yes": True}, {"confirmed": "dev"}):
            with pytest.raises(QuestionError, match="--confirm prod"):
                self.ask("prod", on, **said)
        self.ask("prod", on, confirmed="prod")

    def test_azure_wants_a_yes(self) -> None:
        with pytest.raises(QuestionError, match="--yes"):
            self.ask("dev", On.AZURE)
        self.ask("dev", On.AZURE, yes=True)

    def test_azure_takes_no_for_an_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("automation.ui.console.sys.stdin", SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr("automation.ui.console.typer.confirm", lambda *_, **__: False)
        with pytest.raises(RefusedError):
            self.ask("dev", On.AZURE)

    def test_the_emulator_asks_nothing_for_dev(self) -> None:
        self.ask("dev", On.EMULATOR)

    def test_shows_what_would_be_lost(self) -> None:
        urn = "urn:pulumi:dev::fed::azure-native:storage:StorageAccount::st-fed-dev-hungary"
        provider = "urn:pulumi:dev::fed::pulumi:providers:azure-native::azure-fed-dev-hungary::1"
        target: Any = SimpleNamespace(name="dev", on=On.EMULATOR, hospitals=("hungary",))
        console = Console(width=200)
        with console.capture() as captured:
            console.print(take_down._losses(target, [{"urn": urn, "provider": provider, "custom": True}]))
        assert re.search(r"hungary +1 +storage: st-fed-dev-hungary", captured.get())


class TestTheDoctor:
    def test_really_tries_sockets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert doctor._sockets().state == doctor.GOOD

        def refuse(*_: Any) -> Any:
            raise OSError("Operation not permitted")

        monkeypatch.setattr("automation.machine.doctor.socket.socket", refuse)
        found = doctor._sockets()
        assert (found.state, bool(found.fix)) == (doctor.BAD, True)

    def test_names_the_cure_for_missing_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("automation.machine.doctor.system.missing_packages", lambda: ["nftables"])
        monkeypatch.setattr("automation.machine.doctor.os.geteuid", lambda: 1000)
        (found,) = doctor._networks()
        assert found.state == doctor.BAD and "nftables" in found.fix

    def test_takes_what_only_tests_need_for_no_fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("automation.machine.doctor.system.missing_packages", lambda need: ["mono-mcs"])
        monkeypatch.setattr("automation.machine.doctor.os.geteuid", lambda: 1000)
        found = doctor._mono()
        assert found.state == doctor.NOTE and "apt-get install mono-mcs" in found.fix


def test_commits_are_checked_with_the_versions_that_the_suite_uses() -> None:
    pinned = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    )
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    versions = {
        repo["repo"].rsplit("/", 1)[-1]: repo["rev"].removeprefix("v") for repo in hooks if "rev" in repo
    }
    assert versions["ruff-pre-commit"] == pinned["ruff"]
    assert versions["yamllint"] == pinned["yamllint"]
    assert versions["codespell"] == pinned["codespell"]
    assert versions["detect-secrets"] == pinned["detect-secrets"]


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("Name the hospital that did not answer\n\nThe message blamed all.\n", False),
        ("x" * 72 + "\n\n" + "y" * 100, False),
        ("x" * 73 + "\n", True),
        ("wip\n", True),
        ("Wipe a disk only when it is empty\n", False),
    ],
)
def test_a_commit_s_subject_is_short_and_says_something(message: str, refused: bool) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    rule = next(hook for repo in hooks for hook in repo["hooks"] if hook["id"] == "commit-subject")
    assert rule["stages"] == ["commit-msg"]
    assert bool(re.search(rule["entry"], message, re.MULTILINE | re.DOTALL)) is refused
