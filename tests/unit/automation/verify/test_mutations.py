"""Every protection is broken once, and each break is found with the right culprit named."""

import re

import pytest

from automation.verify.check import verify
from tests.unit.support.verify_deployment import deployment, parties
from tests.unit.support.verify_mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_the_program_deploys_exactly_what_is_intended(stack: str) -> None:
    found = verify(deployment(stack), parties(stack))

    assert [str(f) for f in found.findings] == []
    assert found.holds
    assert len(found.matrix.cells) > 20


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_break_is_found_and_its_culprit_named(mutation: Mutation) -> None:
    found = verify(deployment(mutation.stack, mutation.change), parties(mutation.stack))

    named = [
        f
        for f in found.findings
        if f.kind is mutation.kind and re.search(mutation.where, f.where) and re.search(mutation.what, f.what)
    ]
    assert named, "\n".join(map(str, found.findings)) or "nothing was found"
    assert not found.holds


def test_breaks_have_different_names() -> None:
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS) >= 25
