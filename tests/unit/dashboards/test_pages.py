"""The description of the pages names only what exists: columns of the curated tables and measures."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from workloads.curation import schema

PAGES: dict[str, Any] = yaml.safe_load(Path("dashboards/pages.yaml").read_text())
AUDIENCES = ("hospital", "centre")
VISUALS = [
    pytest.param(page, visual, id=f"{audience}-{page['name']}-{visual['name']}")
    for audience in AUDIENCES
    for page in PAGES[audience]
    for visual in page["visuals"]
]


class TestSchema:
    @pytest.mark.parametrize("table", schema.TABLES.values(), ids=list(schema.TABLES))
    def test_keys_and_references_are_columns(self, table: schema.Table) -> None:
        for name in (*table.key, *table.refers_to):
            assert not table.column(name).nullable
        for name, dimension in table.refers_to.items():
            assert schema.TABLES[dimension].key == (name,)
            assert schema.TABLES[dimension].column(name).kind == table.column(name).kind
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        assert all(column.description for column in table.columns)


class TestPages:
    @pytest.mark.parametrize(("page", "visual"), VISUALS)
    def test_visual_shows_what_the_tables_have(self, page: dict[str, Any], visual: dict[str, Any]) -> None:
        for name in visual.get("measures", ()):
            assert name in PAGES["measures"]
        for name in (*visual.get("by", ()), *page.get("choose", ())):
            table, _, column = name.partition(".")
            assert schema.TABLES[table].column(column)

    def test_columns_that_people_see_have_a_name_for_them(self) -> None:
        seen = {name for param in VISUALS for name in param.values[1].get("by", ())}
        seen |= {name for param in VISUALS for name in param.values[0].get("choose", ())}
        assert seen == set(PAGES["columns"])

    def test_measures_live_in_a_table_and_are_used(self) -> None:
        used = {name for param in VISUALS for name in param.values[1].get("measures", ())}
        assert used == set(PAGES["measures"])
        assert {measure["table"] for measure in PAGES["measures"].values()} <= set(schema.TABLES)

    @pytest.mark.parametrize("audience", AUDIENCES)
    def test_names_on_a_page_are_unique(self, audience: str) -> None:
        for page in PAGES[audience]:
            names = [visual["name"] for visual in page["visuals"]]
            assert len(names) == len(set(names))

    @pytest.mark.parametrize("audience", AUDIENCES)
    def test_choices_reach_what_follows_them_and_nothing_else_in_power_bi_too(self, audience: str) -> None:
        report = Path("dashboards", audience, f"{audience.capitalize()}.Report", "definition", "pages")
        for page in PAGES[audience]:
            content = json.loads((report / page["name"] / "page.json").read_text())
            kept = {(one["target"], one["type"]) for one in content.get("visualInteractions", ())}
            apart = [visual["name"] for visual in page["visuals"] if not visual.get("follows", True)]
            assert kept == {(f"{page['name']}-{name}", "NoFilter") for name in apart}
            assert not apart or page["choose"]
