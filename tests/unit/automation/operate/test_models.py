"""Models as researchers get them: from the centre's container `results`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from automation.operate import models
from automation.ui.outcome import FedError, QuestionError


class Results:
    def __init__(self, **blobs: bytes) -> None:
        self.blobs = {name.replace("__", "/").replace("_", "."): content for name, content in blobs.items()}

    def read(self, prefix: str) -> Mapping[str, bytes]:
        return {name: content for name, content in self.blobs.items() if name.startswith(prefix)}


def register(**changes: Any) -> bytes:
    rows = [
        {"name": "heart", "version": "2", "champion": False},
        {"name": "heart", "version": "1", "champion": True},
    ]
    return json.dumps({"schema": "fed/register/1", "models": rows, **changes}).encode()


ROW: Any = {"name": "heart", "version": "1", "champion": True}


def test_the_champion_or_a_named_version_is_chosen_from_the_register() -> None:
    rows = models.registered(Results(models_json=register()))
    assert models.chosen(rows, "heart", None)["version"] == "1"
    assert models.chosen(rows, "heart", "2")["version"] == "2"
    with pytest.raises(QuestionError, match="heart has no version 3: it has 2, 1"):
        models.chosen(rows, "heart", "3")
    with pytest.raises(QuestionError, match="there is no model 'stay'"):
        models.chosen(rows, "stay", None)


def test_without_a_register_there_is_no_model() -> None:
    with pytest.raises(QuestionError, match="no model yet"):
        models.registered(Results())


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", register(schema="fed/register/2"), register(models=1)]
)
def test_a_register_of_another_form_is_said(content: bytes) -> None:
    with pytest.raises(FedError, match=r"models\.json is none of this version"):
        models.registered(Results(models_json=content))


def test_a_versions_files_are_written_and_no_other_versions(tmp_path: Path) -> None:
    results = Results(
        models__heart__1__MLmodel=b"a", models__heart__11__MLmodel=b"b", models__heart__1__x__y=b"c"
    )
    assert models.download(results, ROW, tmp_path / "new") == ["MLmodel", "x/y"]
    assert (tmp_path / "new/MLmodel").read_bytes() == b"a"
    with pytest.raises(QuestionError, match="is there already"):
        models.download(results, ROW, tmp_path / "new")


def test_files_and_a_card_that_are_not_there_yet_are_said(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="wait a moment"):
        models.download(Results(), ROW, tmp_path / "new")
    with pytest.raises(QuestionError, match="has no card"):
        models.model_card(Results(), ROW)
    assert models.model_card(Results(models__heart__1__card_md=b"# Card"), ROW) == "# Card"
