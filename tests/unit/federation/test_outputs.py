"""The outputs of a stack: written by the program, read by `fed`, the same on both sides."""

import pytest

from federation.outputs import OutputsError, document, read
from tests.unit.support.program_graph import record
from tests.unit.support.stack_outputs import stack_outputs


def test_what_is_written_is_read() -> None:
    written = stack_outputs("hungary", "va-long-beach")
    assert read(document(written)) == written


@pytest.mark.parametrize("lacking", ["location", "centre", "hospitals"])
def test_outputs_of_another_version_are_refused(lacking: str) -> None:
    exported = document(stack_outputs("hungary"))
    del exported[lacking]
    with pytest.raises(OutputsError, match=f"do not say {lacking}"):
        read(exported)


def test_a_hospital_without_its_peerings_is_refused() -> None:
    exported = document(stack_outputs("hungary"))
    del exported["hospitals"]["hungary"]["peerings"]["fromCentre"]
    with pytest.raises(OutputsError, match="fromCentre"):
        read(exported)


def test_the_program_writes_what_fed_reads() -> None:
    exported = record("dev").outputs
    outputs = read(exported)
    assert document(outputs) == exported
    assert set(outputs.parties) == {"centre", *exported["hospitals"]}
