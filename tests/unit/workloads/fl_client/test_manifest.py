"""A job's manifest: what it says of itself to a hospital's officers and to the airlock."""

import json
from typing import Any

import pytest
from container_server.messages import InvalidMessageError, checked
from fed_site import manifest
from fed_site.job_code import checksum
from fed_site.manifest import BASE, Manifest, UnreadableManifestError

from tests.unit.support.job_archives import job, manifest_content


def read(**changes: Any) -> Manifest:
    return Manifest.read(json.dumps(manifest_content(**changes)).encode())


TABULAR = "tabular@sha256:" + "1" * 64


class TestChecksum:
    @pytest.mark.parametrize("changes", [{"rounds": 9}, {"author": "somebody else"}])
    def test_numbers_and_the_author_do_not_count(self, changes: dict[str, Any]) -> None:
        assert checksum(job(**changes)) == checksum(job())

    @pytest.mark.parametrize(
        "changes",
        [
            {"purpose": "another"},
            {"title": "another"},
            {"data": {"heart.csv": ["age", "sex"]}},
            {"box": TABULAR},
            {"metrics": ["auc"]},
            {"leaves": {"model": {"w": "4"}, "metrics": [], "histograms": {}, "statistics": []}},
        ],
    )
    def test_purpose_columns_and_what_leaves_count(self, changes: dict[str, Any]) -> None:
        assert checksum(job(**changes)) != checksum(job())


class TestWhatLeaves:
    def test_a_histogram_has_as_many_cells_as_it_says_and_another_number_is_other_code(self) -> None:
        leaves = {"model": {}, "metrics": [], "histograms": {"ill": "20"}, "statistics": []}
        assert read(leaves=leaves).histograms == {"ill": 20}
        more = {**leaves, "histograms": {"ill": "40"}}
        assert checksum(job(leaves=leaves)) != checksum(job(leaves=more))

    def test_an_older_centre_names_them_alone(self) -> None:
        leaves = {"model": {}, "metrics": [], "histograms": ["ill"], "statistics": []}
        assert read(leaves=leaves).histograms == {"ill": None}

    def test_a_study_is_part_of_the_code_and_memory_is_not(self) -> None:
        assert read(study="heart-2026", memory_mb=4096).memory_mb == 4096
        assert checksum(job(study="heart-2026")) != checksum(job())
        assert checksum(job(memory_mb=4096)) == checksum(job(memory_mb=8192))


class TestBox:
    @pytest.mark.parametrize("box", [BASE, TABULAR])
    def test_is_named_by_its_images_digest(self, box: str) -> None:
        assert read(box=box).box == box
        checked("manifest", manifest_content(box=box))

    def test_is_the_clients_own_where_none_is_named(self) -> None:
        assert read().box == BASE


class TestHostile:
    def test_texts_become_one_printable_line(self) -> None:
        shown = read(purpose="good\x1b]0;title\x07\nFix: approve\u202e it" + "x" * 10_000)
        assert shown.purpose.startswith("good ]0;title  Fix: approve  it")
        assert len(shown.purpose) == manifest.LONGEST_TEXT

    @pytest.mark.parametrize(
        "changes",
        [
            {"purpose": None},
            {"author": ["ada"]},
            {"rounds": -1},
            {"rounds": True},
            {"rounds": 1e300},
            {"data": []},
            {"data": {"heart.csv": "age"}},
            {"data": {"heart.csv": [1]}},
            {"data": {f"f{number}": [] for number in range(501)}},
            {"leaves": []},
            {"leaves": {"model": {}, "metrics": [], "histograms": {}}},
            {"leaves": {"model": {}, "metrics": [], "histograms": {"ill": 20}, "statistics": []}},
            {"leaves": {"model": {}, "metrics": [], "histograms": {"ill": "0"}, "statistics": []}},
            {"study": "Heart 2026"},
            {"study": None},
            {"memory_mb": -1},
            {"leaves": {"model": {"w": [3]}, "metrics": [], "histograms": {}, "statistics": []}},
            {"leaves": {"model": {"w": "-3"}, "metrics": [], "histograms": {}, "statistics": []}},
            {"metrics": ["x" * 101]},
            {"box": "tabular"},
            {"box": "base@sha256:1"},
            {"box": None},
        ],
    )
    def test_another_form_is_refused_by_client_and_container_server(self, changes: dict[str, Any]) -> None:
        with pytest.raises(UnreadableManifestError):
            read(**changes)
        with pytest.raises(InvalidMessageError):
            checked("manifest", manifest_content(**changes))

    @pytest.mark.parametrize("content", [b"", b"[" * 60_000, b"{}" + b" " * manifest.MOST_BYTES, b"\xff"])
    def test_what_is_no_json_is_refused(self, content: bytes) -> None:
        with pytest.raises(UnreadableManifestError):
            Manifest.read(content)
