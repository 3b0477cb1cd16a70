"""A hospital's record, also where a power cut or somebody else damaged a note in it."""

import json
from typing import Any

import pytest

from automation.commands import audit
from automation.operate import record

JOB = "12345678-0000-4000-8000-000000000000"
START = json.dumps({"time": 1_790_000_000.0, "task": "start", "round": None, "started": "a" * 64})
REFUSED = json.dumps({"time": 1_790_000_009.0, "task": "train", "round": 1, "refused": "no"})


def test_a_note_that_was_cut_off_hides_no_other_and_is_shown() -> None:
    """The whole record could not be shown, for as long as the file of that job is kept."""
    text = "\n".join([START, '{"round": 0, "ta', "[]", REFUSED])
    found = record.entries([(f"releases/{JOB}.jsonl", text)])
    assert [entry["event"] for entry in found] == ["started", record.CUT_OFF, record.CUT_OFF, "refused"]
    assert found[1]["time"] == found[0]["time"]
    assert audit._words(found[1]).startswith("cut off    12345678: ")


DIGEST = f"sha256:{'c' * 64}"


@pytest.mark.parametrize(
    ("event", "content", "said"),
    [
        ("images-asked", {"images": {"fl-client": DIGEST}}, "images     asked: fl-client cccccccccccc"),
        ("images", {"images": {"fl-client": DIGEST}}, "images     changed: fl-client cccccccccccc"),
        ("images-back", {"why": "not well"}, "images     those before are back: not well"),
        (
            "images-answers",
            {"approved": [{"image": "fl-client", "digest": DIGEST, "by": "a"}], "refused": []},
            "images     1 approved, 0 refused",
        ),
    ],
)
def test_what_became_of_images_is_shown(event: str, content: dict[str, Any], said: str) -> None:
    """`fed audit` ended with a KeyError at a hospital once its VM had changed images."""
    text = json.dumps({"time": "20261201T120000.000000Z", "event": event, **content})
    (entry,) = record.entries([(f"audit/1-{event}.json", text)])
    assert audit._words(entry) == said
