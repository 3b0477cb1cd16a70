"""What the pages tell people to type exists, and what the runbook says they see is what the code says."""

import argparse
import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from container_server import fedctl
from typer.core import TyperGroup

from automation import cli
from clone import paths
from federation.notices import CODES

ROOT = paths.REPOSITORY
RUNBOOK = ROOT / "docs" / "runbook.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = ("automation", "components", "federation", "infra", "workloads")
"""Where the messages come from; the emulator speaks as Azure does."""
GAP = "\0"
"""Where a message has something of the moment in it."""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def typed(text: str, program: str) -> set[str]:
    """What a page says to type after a program's name: in a line of its own, or in one of code."""
    pieces = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    lines = [line for piece in pieces for line in piece.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```\n.*?```", "", text, flags=re.DOTALL))
    found = (re.findall(rf"(?:^|\s|\"|\()(?:\./)?{program} ([a-z-]+[^#|;&)]*)", line) for line in lines)
    return {command.strip() for line in found for command in line}


@cache
def commands() -> TyperGroup:
    group = typer.main.get_command(cli.build())
    assert isinstance(group, TyperGroup)
    return group


def complaint(command: str) -> str | None:
    """What is wrong with a `fed` command that a page names."""
    known: Any = commands()
    words = re.sub(r"[\[\]`'\"]", " ", command).split()
    while isinstance(known, TyperGroup) and words and not words[0].startswith("-"):
        below = [known.commands.get(name) for name in words[0].split("|")]
        if None in below:
            return f"no command {words[0]!r} in: fed {command}"
        known, words = below[0] or known, words[1:]
    options = {name for parameter in known.params for name in (*parameter.opts, *parameter.secondary_opts)}
    asked = {word.partition("=")[0].rstrip(",.") for word in words if re.match(r"--?[a-z]", word)}
    wrong = asked - options - {"--help", "-h"}
    return f"no option {sorted(wrong)} in: fed {command}" if wrong else None


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_fed_command_exists_with_its_options(page: Path) -> None:
    found = [complaint(command) for command in sorted(typed(page.read_text(), "fed"))]
    assert [each for each in found if each] == []


def test_a_command_that_does_not_exist_is_found() -> None:
    assert complaint("hospital approve NAME") is None
    assert complaint("hospital approves NAME")
    assert complaint("up --on azure --nonsense")
    assert len(typed(RUNBOOK.read_text(), "fed")) > 20


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_fedctl_command_exists(page: Path) -> None:
    (below,) = [a for a in fedctl.parser()._actions if isinstance(a, argparse._SubParsersAction)]
    asked = {command.split()[0] for command in typed(page.read_text(), "fedctl")}
    assert asked <= set(below.choices)


def seen(text: str) -> list[str]:
    """The messages in the first column of the runbook's tables of what people see."""
    tables = re.findall(r"^\| What you see \|.*\n\|[ -|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()]
    return [message for cell in cells for message in re.findall(r'"([^"]+)"', cell)]


def parts(message: str) -> list[str]:
    """A message without what differs from one time to the next: names in capitals, dots, numbers."""
    pieces = re.split(r"\.\.\.|\b[A-Z][A-Z0-9-]*\b:?|\([^)]*\)|\S*/\S*|\d+", message)
    return [" ".join(piece.split()).strip(" .,:;") for piece in pieces if len(piece.split()) > 1]


@cache
def said() -> tuple[str, ...]:
    """Every text in the code, its variable parts as GAP."""
    files = [file for folder in SOURCES for file in (ROOT / folder).rglob("*.py")]
    texts = [text for file in files for text in _texts(ast.parse(file.read_text()))]
    shell = [
        (ROOT / "components/boot/templates" / name).read_text()
        for name in ("mount-data-disk", "start-docker")
    ]
    return tuple(" ".join(text.split()) for text in (*texts, *shell))


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)


def test_every_message_is_one_that_the_code_says() -> None:
    messages = seen(RUNBOOK.read_text())
    unsaid = [m for m in messages for part in parts(m) if not any(part in text for text in said())]
    assert unsaid == []
    assert len(messages) > 20


def test_a_message_that_nobody_says_is_found() -> None:
    assert parts("renewal (enrolment, return) waits for a person since ...") == ["waits for a person since"]
    assert not any("waits for a nobody since" in text for text in said())


def test_every_notice_is_explained() -> None:
    page = RUNBOOK.read_text()
    assert [code for codes in CODES.values() for code in codes if f"`{code}`" not in page] == []


@pytest.mark.parametrize(
    "section",
    [
        "An owner has left Entra",
        "A subscription is disabled",
        "A data disk is full",
        "The root has expired",
        "Backups, and a lost disk",
    ],
)
def test_what_goes_wrong_rarely_has_a_section(section: str) -> None:
    text = RUNBOOK.read_text()
    (body,) = re.findall(rf"^##+ {section}\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    assert typed(body, "fed") or typed(body, "az"), "it says what to type"
