"""What every command of `fed` promises: exit codes, words instead of tracebacks, the same arguments."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.main import get_command

from automation import cli, commands
from automation.ui.options import stack_name
from automation.ui.outcome import Code, FedError, QuestionError, RefusedError, explain
from clone import paths
from emulator.control import EmulatorError
from emulator.datacentre.errors import DatacentreError, UnknownContainerError
from federation.violations import SettingsError

ROOT = paths.REPOSITORY


def fed(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "automation", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class TestCommandLine:
    def test_help_lists_every_command_with_a_sentence(self) -> None:
        done = fed("--help")
        assert done.returncode == 0
        for name in ("up", "preview", "down", "status", "env", "doctor", "test"):
            assert f" {name} " in done.stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ("nonsense",),
            ("up", "--nonsense"),
            ("up", "--on", "aws"),
            ("up", "a", "b"),
            ("open", "mlflow", "--port", "99999"),
        ],
    )
    def test_wrong_usage_exits_with_2(self, arguments: tuple[str, ...]) -> None:
        done = fed(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr

    def test_shell_completes_commands_and_their_parts(self) -> None:
        for words, expected in (
            ("./fed up", {"up", "upgrade"}),
            ("./fed jobs su", {"submit"}),
            ("./fed images prom", {"promote"}),
        ):
            place = len(words.split()) - 1
            done = fed(COMP_WORDS=words, COMP_CWORD=str(place), _FED_COMPLETE="complete_bash")
            assert set(done.stdout.split()) == expected

    def test_what_others_rely_on_is_changed_for_a_stack_that_was_named(self) -> None:
        done = fed("images", "promote", "--pinned")
        assert (done.returncode, "name the stack" in done.stderr) == (2, True)

    def test_says_its_version_and_commit(self) -> None:
        done = fed("--version")
        assert done.returncode == 0
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert done.stdout.startswith(f"fed {version}")

    def test_says_its_version_on_a_machine_without_git(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In an unpacked archive."""
        monkeypatch.setenv("PATH", "/nowhere")
        assert "(" not in cli._version()

    def test_every_command_has_help_and_a_known_panel(self) -> None:
        group = get_command(cli.build())
        names = group.list_commands(None)  # type: ignore[attr-defined]
        assert {"up", "down"} <= set(names)
        for name in names:
            assert group.get_command(None, name).help, name  # type: ignore[attr-defined]

    def test_a_new_file_is_a_new_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "say_hello.py").write_text(
            'def command() -> None:\n    """Say hello."""\n    print("hello")\n'
        )
        monkeypatch.setattr(commands, "__path__", [str(tmp_path)])
        app = cli.build()
        app.callback()(lambda: None)  # one command alone would not be named
        with pytest.raises(SystemExit) as ended:
            app(["say-hello"])
        assert ended.value.code == 0


SPEAKS = {
    "a table": "show(table('party'))",
    "a document": "show_json({'party': 'centre'})",
    "a log": "write('line')",
}


class TestAnswers:
    @pytest.mark.parametrize("speaks", SPEAKS.values(), ids=SPEAKS.keys())
    def test_whoever_reads_only_the_first_line_gets_no_failure(self, speaks: str) -> None:
        """`set -o pipefail; fed status | head -1`."""
        reader, writer = os.pipe()
        os.close(reader)
        command = f"from automation.ui.console import show, show_json, table, write; {speaks}"
        done = subprocess.run(
            [sys.executable, "-P", "-c", command],
            env={"PYTHONPATH": str(ROOT)},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("question", [["jobs"], ["status"], ["logs", "centre"], ["shell", "centre"]])
    def test_mere_question_starts_no_emulator(self, question: list[str], tmp_path: Path) -> None:
        done = fed(*question, FED_HOME=str(tmp_path / "home"))
        assert done.returncode == Code.NO
        assert "dev is not deployed on emulator. To deploy it: ./fed up dev" in done.stderr
        assert not (tmp_path / "home").exists()


class TestStackName:
    def test_is_dev_unless_said(self) -> None:
        assert stack_name(None, None) == "dev"

    @pytest.mark.parametrize(("argument", "option"), [("mvp", None), (None, "mvp"), ("mvp", "mvp")])
    def test_may_be_an_argument_or_an_option(self, argument: str | None, option: str | None) -> None:
        assert stack_name(argument, option) == "mvp"

    def test_two_different_ones_are_refused(self) -> None:
        with pytest.raises(QuestionError, match="mvp and prod"):
            stack_name("mvp", "prod")


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (RefusedError("no"), Code.NO),
            (QuestionError("what"), Code.WRONG),
            (SettingsError("Pulumi.dev.yaml", []), Code.WRONG),
            (FedError("broken"), Code.BROKEN),
            (EmulatorError("gone"), Code.BROKEN),
            (DatacentreError("gone"), Code.BROKEN),
            (UnknownContainerError("it has fl-client"), Code.WRONG),
        ],
    )
    def test_are_told_in_words_with_their_exit_code(
        self, error: Exception, code: Code, end: Callable[[Exception], tuple[int, str]]
    ) -> None:
        found, told = end(error)
        assert (found, "Traceback" in told) == (code, False)
        assert str(error) in told

    def test_a_mistake_in_fed_itself_shows_its_traceback(
        self, end: Callable[[Exception], tuple[int, str]]
    ) -> None:
        code, told = end(ZeroDivisionError("oops"))
        assert code == Code.BROKEN
        assert "Traceback" in told and "oops" in told and "report" in told

    def test_an_interrupt_ends_with_130(self, end: Callable[[BaseException], tuple[int, str]]) -> None:
        assert end(KeyboardInterrupt())[0] == 130


@pytest.fixture
def end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[BaseException], tuple[int, str]]:
    """Run a command that raises an error; return the exit code and what was told on standard error."""

    def run(error: BaseException) -> tuple[int, str]:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(cli, "build", lambda: app)
        monkeypatch.setattr(sys, "argv", ["fed"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


def test_nothing_slow_is_imported_before_a_command_runs() -> None:
    code = "import sys, automation.cli as cli; cli.build(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    slow = {"pulumi", "grpc", "pydantic", "httpx", "azure.core", "rich.table"} & set(done.stdout.split())
    assert not slow


def test_unknown_errors_are_not_explained() -> None:
    assert explain(ZeroDivisionError()) is None
    assert isinstance(commands, ModuleType)


def test_every_command_about_a_stack_takes_it_as_an_option() -> None:
    """But those of workflows, which name it first."""

    def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        for child, found in getattr(command, "commands", {}).items():
            yield from leaves(f"{name} {child}", found)
        if not hasattr(command, "commands"):
            yield name, command

    without = {
        name
        for name, command in leaves("fed", get_command(cli.build()))
        if not name.startswith("fed ci ")
        and any(parameter.name == "stack" for parameter in command.params)
        and not any("--stack" in parameter.opts for parameter in command.params)
    }
    assert without == set()
