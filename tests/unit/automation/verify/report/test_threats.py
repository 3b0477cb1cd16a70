"""The threat model names tests that exist, and every control and decision it speaks of."""

import ast
import re

import pytest

from automation.verify.report.controls import CONTROLS
from tests.unit.support.program_graph import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda v: v or "file")
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    defined = {
        n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }

    assert not name or name in defined


def test_each_attacker_says_what_remains() -> None:
    sections = PAGE.split("## Who could try what")[1].split("## What no proof")[0].split("\n### ")[1:]

    assert [s.splitlines()[0] for s in sections] == [
        "A curious centre",
        "A compromised hospital VM",
        "A malicious job",
        "A stolen kit",
        "A leaked state file",
        "An outsider",
        "A reader of a dashboard",
        "A stolen operator account",
    ]
    assert all("**What remains.**" in s and "proven by" in s for s in sections)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists()


def test_a_control_tells_an_officer_what_it_protects_against() -> None:
    assert all(c.promise.endswith(".") and c.protects_against for c in CONTROLS)
