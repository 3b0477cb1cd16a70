"""What the documentation names exists: files, links, headings, and every decision in the index."""

import re
from pathlib import Path

import pytest

from clone import paths

ROOT = paths.REPOSITORY
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "adr").glob("*.md")])
DECISIONS = ROOT / "docs" / "adr"

_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_HEADING = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)")
_FILE = re.compile(r"`((?:[A-Za-z_.]+/)+[A-Za-z_.]+\.(?:py|yaml|json|md|svg))`")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_to_a_heading_finds_it(page: Path) -> None:
    linked = [
        (page.parent / file if file else page, name) for file, name in _HEADING.findall(page.read_text())
    ]
    assert [f"{file.name}#{name}" for file, name in linked if name not in headings(file)] == []


def headings(page: Path) -> set[str]:
    """The names by which GitHub knows a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    words = (
        re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", line) for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    )
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in words}


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"], ids=named)
def test_every_file_of_the_map_exists(page: Path) -> None:
    files = _FILE.findall(page.read_text())
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert files


def test_the_index_lists_every_decision_with_its_state() -> None:
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+?) \| .+ \| (.+?) \|$", index(), re.MULTILINE)
    assert sorted(listed) == sorted(decision(file) for file in DECISIONS.glob("[0-9]*.md"))


def index() -> str:
    return (DECISIONS / "README.md").read_text()


def decision(file: Path) -> tuple[str, str, str, str]:
    """Return number, file, title and state of a decision, as its file says them."""
    text = file.read_text()
    title = re.match(r"# (\d{4}): (.+)\n", text)
    state = re.search(r"^Status: (.+)$", text, re.MULTILINE)
    assert title and state, f"{file.name} needs '# NNNN: title' and 'Status: ...'"
    return title[1], file.name, title[2], state[1]


def test_a_decision_that_another_one_changes_says_so() -> None:
    states = {number: state for number, _, _, state in map(decision, DECISIONS.glob("[0-9]*.md"))}
    changes = [
        (number, other)
        for number, state in states.items()
        for part in re.findall(r"(?:supersedes|replaces|completes|changes|adds to) [^;]*", state)
        for other in re.findall(r"\d{4}", part.partition("completed by")[0])
    ]
    silent = [f"{other} says nothing of {number}" for number, other in changes if number not in states[other]]
    assert silent == []
    assert changes


def test_microsofts_fabric_keeps_its_name() -> None:
    """People look for these words on Microsoft's pages; the emulator's own word was changed everywhere."""
    page = re.sub(r"\s+", " ", (ROOT / "docs" / "dashboards.md").read_text())
    assert "*Service principals can call Fabric public APIs*" in page
    assert "Datacentre" not in page
