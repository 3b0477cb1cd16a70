"""The command line: finds the commands, runs one, turns errors into words and exit codes (`outcome.py`)."""

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tomllib
from typing import Annotated, NoReturn

import typer

from automation import commands
from automation.machine import search_path
from automation.ui.outcome import Code, explain
from clone import paths

PANELS = ("Deploy", "Look", "Work", "Deliver", "This machine")

HELP = """Federated learning across hospitals: deploys, looks at and takes down the federation.

Everything happens on the emulator on this machine unless you say --on azure.
"""


def build() -> typer.Typer:
    """Return the command line with every command of `automation/commands`."""
    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=HELP)(_options)
    modules = [
        importlib.import_module(f"{commands.__name__}.{info.name}")
        for info in pkgutil.iter_modules(commands.__path__)
    ]
    panel = {module.__name__: getattr(module, "PANEL", "Work") for module in modules}
    for module in sorted(modules, key=lambda module: PANELS.index(panel[module.__name__])):
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        heading = panel[module.__name__]
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, rich_help_panel=heading)
        else:
            app.command(name, rich_help_panel=heading)(module.command)
    return app


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda asked: _show_version() if asked else None,
            help="Show the version and the commit, and end.",
        ),
    ] = False,
) -> None:
    """Options of `fed` itself."""


def _show_version() -> NoReturn:
    typer.echo(f"fed {_version()}")
    raise typer.Exit


def _version() -> str:
    """Return the version of pyproject.toml, and the commit where this is a clone."""
    project = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text())["project"]
    commit = _commit() if shutil.which("git") else ""
    return f"{project['version']}{f' ({commit})' if commit else ''}"


def _commit() -> str:
    return subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=paths.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()


def main() -> NoReturn:
    """Run the command that the arguments name and end the process with its exit code."""
    if os.environ.get("PYTHONPATH") == str(paths.REPOSITORY):
        del os.environ["PYTHONPATH"]  # the launcher's; programs that are started here must not inherit it
    search_path.extend()
    try:
        build()(prog_name="fed")
    except Exception as error:
        told = explain(error)
        if told is None:
            print("fed: this is a mistake in fed itself; please report what follows.", file=sys.stderr)
            sys.excepthook(type(error), error, error.__traceback__)
            sys.exit(Code.BROKEN)
        code, text = told
        print(f"fed: {text}", file=sys.stderr)
        sys.exit(code)
    sys.exit(Code.DONE)
