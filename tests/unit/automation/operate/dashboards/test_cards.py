"""Model cards lie next to a party's page, which links them; whoever wrote them runs nothing here."""

from pathlib import Path

from automation.operate.dashboards import curated, local
from dashboards.local.render import render
from tests.unit.support.curated_pages import files_of, tables_folder


def test_each_is_written_next_to_the_page_and_can_run_no_script(tmp_path: Path) -> None:
    hostile = b"<html><script>alert(1)</script></html>"
    found = local._write_cards(tmp_path, "hungary", {"../../card-heart-3.html": hostile})
    assert found == {"Card of heart-3": "hungary-card-heart-3.html"}
    (written,) = tmp_path.iterdir()
    content = written.read_bytes()
    assert content.startswith(
        b'<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    )
    assert content.endswith(hostile)


def test_the_page_links_them(tmp_path: Path) -> None:
    files = files_of(tables_folder(tmp_path), "hungary")
    page = render(files, "hungary", cards={"Card of heart-3": "hungary-card-heart-3.html"})
    assert '<a href="hungary-card-heart-3.html">Card of heart-3</a>' in page
    assert "Card of" not in render(files, "hungary")


def test_they_are_no_tables() -> None:
    files = {"fact_metric.parquet": b"1", "card-heart-3.md": b"2", "card-heart-3.html": b"3"}
    assert curated._tables(files, "hungary") == {"fact_metric": b"1"}
