"""The Power BI projects pass every gate, and each gate finds the fault it is there for.

Power BI itself runs on Windows and in the cloud alone; these are Microsoft's own validator, model parser and
query parser, and our rules. Each planted fault is one that somebody could make while editing.
"""

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from automation.ui.outcome import FedError
from dashboards.local import cube
from dashboards.powerbi import description, project
from dashboards.powerbi.description import AUDIENCES, FOLDER, OWN_MEASURES, Audience
from tests.unit.dashboards.powerbi import gates, model_rules, report_rules, tools
from workloads.curation.schema import TABLES

PAGES: dict[str, Any] = yaml.safe_load((FOLDER / "pages.yaml").read_text())


class Project:
    """A project's folders, as Power BI finds them."""

    def __init__(self, folder: Path, audience: Audience) -> None:
        self.folder = folder
        self.report = folder / f"{audience.capitalize()}.Report"
        self.definition = folder / f"{audience.capitalize()}.SemanticModel/definition"

    def model(self) -> gates.Model:
        (found,) = gates.read_models([self.definition])
        return found

    def change(self, path: str, old: str, new: str) -> None:
        """Plant a fault: write `new` in the place of `old` in the file that matches."""
        (file,) = self.folder.glob(path)
        text = file.read_text()
        assert old in text, f"{old!r} is no longer in {path}: the fault cannot be planted"
        file.write_text(text.replace(old, new))


@cache
def sound_model() -> gates.Model:
    return Project(project.folder("hospital"), "hospital").model()


@pytest.fixture(params=AUDIENCES)
def committed(request: pytest.FixtureRequest) -> Project:
    return Project(project.folder(request.param), request.param)


@pytest.fixture
def hospital(tmp_path: Path) -> Project:
    """A copy to be broken."""
    shutil.copytree(project.folder("hospital"), tmp_path / "hospital")
    return Project(tmp_path / "hospital", "hospital")


class TestWhatIsCommitted:
    @pytest.mark.parametrize("audience", AUDIENCES)
    def test_is_what_would_be_written_now(self, audience: Audience) -> None:
        folder = project.folder(audience)
        found = {
            str(path.relative_to(folder)): path.read_text()
            for path in folder.rglob("*")
            if path.is_file() and path.parent.name != ".pbi"
        }
        assert found == project.files(audience), "python -m dashboards.powerbi writes the projects again"

    def test_passes_microsofts_report_validator(self, committed: Project) -> None:
        assert gates.report_faults(committed.report) == []

    def test_passes_microsofts_model_and_query_parsers_and_our_rules(self, committed: Project) -> None:
        model = committed.model()
        assert gates.query_faults(model) == []
        assert list(model_rules.model_faults(model)) == []
        assert list(report_rules.report_faults(committed.report, model)) == []

    @pytest.mark.parametrize("audience", AUDIENCES)
    def test_shows_what_the_description_says(self, audience: Audience) -> None:
        """Pages, titles, measures and columns, read back from the reports by other code than wrote them."""
        shown = report_rules.visuals(Project(project.folder(audience), audience).report)
        assert list(dict.fromkeys(visual.page for visual in shown)) == [p["name"] for p in PAGES[audience]]
        for page in PAGES[audience]:
            found = {
                (visual.document["name"], visual.said("title", "text")): {
                    (table, name)
                    for _, table, name in report_rules.fields(visual.document["visual"].get("query", {}))
                }
                for visual in shown
                if visual.page == page["name"] and visual.said("title", "text")
            }
            for visual in page["visuals"]:
                wanted = {("Measures", name) for name in visual.get("measures", ())}
                wanted |= {tuple(name.split(".")) for name in visual.get("by", ())}
                fields = found.pop((f"{page['name']}-{visual['name']}", visual["title"]))
                assert fields - {("Measures", measure.name) for measure in OWN_MEASURES} == wanted
            assert not found
            choices = {
                next(report_rules.fields(visual.document))[1:]
                for visual in shown
                if visual.page == page["name"] and visual.kind == "slicer"
            }
            assert choices == {tuple(name.split(".")) for name in page.get("choose", ())}

    def test_only_metrics_that_the_chart_has_can_be_chosen(self) -> None:
        shown = report_rules.visuals(Project(project.folder("centre"), "centre").report)
        choices = [visual for visual in shown if (visual.page, visual.kind) == ("models", "slicer")]
        assert len(choices) == 2  # the job, and its metric
        for choice in choices:
            assert {field[1:] for field in report_rules.fields(choice.document["filterConfig"])} == {
                ("dim_site", "kind")
            }
            assert "'federation'" in str(choice.document["filterConfig"])

    def test_measures_say_what_they_are_in_the_words_of_the_description(self, committed: Project) -> None:
        (table,) = [table for table in committed.model()["tables"] if table["name"] == "Measures"]
        for measure in table["measures"]:
            if measure["name"] not in {own.name for own in OWN_MEASURES}:
                stated = PAGES["measures"][measure["name"]]
                assert (measure["description"], measure["formatString"]) == (stated["is"], stated["format"])

    def test_takes_where_and_whose_from_parameters(self, committed: Project) -> None:
        parameters = {
            one["name"]: gates.text(one["expression"]).partition(" meta ")[0]
            for one in committed.model()["expressions"]
        }
        assert parameters.pop("StorageAccountUrl") == '"https://<account>.blob.core.windows.net"'
        assert parameters in (
            {"ContainerName": '"server"', "Party": '"centre"'},
            {"ContainerName": '"client-<hospital>"', "Party": '"<hospital>"'},
        )


PAGES_OF = "Hospital.Report/definition/pages"
DEFINITION = "Hospital.SemanticModel/definition"
GAIN = f"{PAGES_OF}/overview/visuals/overview-gain/visual.json"
MEASURES = f"{DEFINITION}/tables/Measures.tmdl"
SITES = f"{DEFINITION}/tables/dim_site.tmdl"
ACCESS = f"{DEFINITION}/tables/access.tmdl"
ABOUT = f"{PAGES_OF}/about/page.json"

Fault = tuple[str, str, str, str]
"""File, what is there, what is planted in its place, and part of what must be said about it."""

IN_REPORTS: dict[str, Fault] = {
    "a role that the chart does not have": (GAIN, '"Y": {', '"Values": {', "values"),
    "a position that does not exist": (GAIN, "'Top'", "'Upstairs'", "upstairs"),
    "a page that is not there": (f"{PAGES_OF}/pages.json", '"about"', '"abuot"', "abuot"),
    "a theme of another name": (
        "Hospital.Report/StaticResources/*/*.json",
        '"name": "fed-',
        '"name": "other-',
        "theme",
    ),
}


@pytest.mark.parametrize("fault", IN_REPORTS)
def test_microsofts_report_validator_finds(fault: str, hospital: Project) -> None:
    path, old, new, said = IN_REPORTS[fault]
    hospital.change(path, old, new)
    assert any(said in one.lower() for one in gates.report_faults(hospital.report))


IN_MODELS: dict[str, Fault] = {
    "a misspelt keyword": (MEASURES, "measure Gain =", "measur Gain =", "Measures"),
    "a name without quotes": (MEASURES, "measure 'Gain Low' =", "measure Gain Low =", "Measures"),
    "a value that does not exist": (
        ACCESS,
        "isHidden\n\t\tsummarizeBy: none",
        "isHidden\n\t\tsummarizeBy: nothing",
        "access",
    ),
    "a column to sort by": (SITES, "ByColumn: sort_order", "ByColumn: sort_ordre", "SortByColumn"),
    "a relationship to nothing": (
        f"{DEFINITION}/relationships.tmdl",
        "toColumn: dim_site.site_key\n\nrelationship fact_statistics",
        "toColumn: dim_sit.site_key\n\nrelationship fact_statistics",
        "'fact_statistics_site_key'",
    ),
    "a role on nothing": (
        f"{DEFINITION}/roles/Readers.tmdl",
        "tablePermission fact_metric",
        "tablePermission fact_metrics",
        "fact_metrics",
    ),
}


@pytest.mark.parametrize("fault", IN_MODELS)
def test_microsofts_model_parser_finds(fault: str, hospital: Project) -> None:
    path, old, new, said = IN_MODELS[fault]
    hospital.change(path, old, new)
    with pytest.raises(gates.ModelError, match=said):
        hospital.model()


def test_microsofts_query_parser_finds_a_missing_comma(hospital: Project) -> None:
    hospital.change(SITES, '{"site_key", type text},', '{"site_key", type text}')
    (fault,) = gates.query_faults(hospital.model())
    assert fault.startswith("table dim_site: ")


SHARE = "SELECTEDVALUE ( fact_histogram[share] )"
AGAINST_MODEL_RULES: dict[str, Fault] = {
    "another type than the file's": (
        SITES,
        "column patients\n\t\tdataType: int64",
        "column patients\n\t\tdataType: double",
        "the schema says ('patients', 'int64')",
    ),
    "a column that the file does not have": (
        SITES,
        "\tcolumn state\n",
        "\tcolumn status\n",
        "the schema says ('state', 'string')",
    ),
    "a measure without a format": (MEASURES, "\t\tformatString: d MMM yyyy HH:mm\n", "", "no formatString"),
    "a measure without words": (
        MEASURES,
        "\t/// C-Statistic minus C-Statistic Own Data Only\n",
        "",
        "no description",
    ),
    "a division": (MEASURES, "Together - Alone )", "Together / Alone )", "DIVIDE instead of /"),
    "a metric that nobody measures": (MEASURES, '"own_auc"', '"auc_own"', "is never 'auc_own'"),
    "a column that is not there": (MEASURES, SHARE, SHARE.replace("share", "shares"), "histogram[shares]"),
    "a column without its table": (MEASURES, SHARE, "SELECTEDVALUE ( [share] )", "no measure [share]"),
    "a name that a column has": (MEASURES, "\tcolumn empty\n", "\tcolumn count\n", "next to a column"),
    "a column that is added up": (
        ACCESS,
        "isHidden\n\t\tsummarizeBy: none",
        "isHidden\n\t\tsummarizeBy: sum",
        "would be added up",
    ),
    "everybody's access": (ACCESS, "each [principal] = Party", "each true", "the rows of Party alone"),
    "a written address": (ACCESS, "StorageAccountUrl &", '"https://a.net" &', "parameters hold these"),
    "another table's file": (ACCESS, "/curated/access.parquet", "/curated/dim_run.parquet", "must read"),
    "a fact that readers see whole": (
        f"{DEFINITION}/roles/Readers.tmdl",
        "fact_metric[is_shared] || ",
        "",
        "fact_metric must be filtered",
    ),
    "implicit measures": (f"{DEFINITION}/model.tmdl", "\tdiscourageImplicitMeasures\n", "", "add up"),
    "date tables": (f"{DEFINITION}/model.tmdl", "Enabled = 0", "Enabled = 1", "hidden date tables"),
    "a way around roles": (
        f"{DEFINITION}/relationships.tmdl",
        "relationship access_site_key\n",
        "relationship access_site_key\n\tcrossFilteringBehavior: bothDirections\n",
        "filters both ways",
    ),
}


@pytest.mark.parametrize("fault", AGAINST_MODEL_RULES)
def test_rules_for_models_find(fault: str, hospital: Project) -> None:
    path, old, new, said = AGAINST_MODEL_RULES[fault]
    hospital.change(path, old, new)
    assert any(said in one for one in model_rules.model_faults(hospital.model()))


AGAINST_REPORT_RULES: dict[str, Fault] = {
    "a measure that is not there": (GAIN, '"C-Statistic"\n', '"AUROC"\n', "no measure Measures[AUROC]"),
    "a column that is not there": (GAIN, '"Property": "run_label"', '"Property": "label"', "dim_run[label]"),
    "a filter on nothing": (GAIN, '"Property": "is_own"', '"Property": "is_ours"', "dim_site[is_ours]"),
    "no alternative text": (GAIN, '"altText"', '"x"', "no alternative text"),
    "no title": (GAIN, "'What federation gains us'", "''", "no title"),
    "no explanation": (GAIN, "visualHeaderTooltip", "visualTooltip", "nothing explains it"),
    "a colour": (GAIN, "'Top'", "'#FF0000'", "a colour of its own"),
    "a visual next to the page": (GAIN, '"x": 24', '"x": 1000', "outside the page"),
    "an overlap": (GAIN, '"x": 24', '"x": 60', "overlaps overview/overview-differences"),
    "a jumping tab order": (GAIN, '"tabOrder": 5000', '"tabOrder": 500', "not the reading order"),
    "a default name": (GAIN, '"overview-gain"', '"VisualContainer1"', "says nothing"),
    "a default page name": (ABOUT, '"About"', '"Page 4"', "no name of its own"),
    "a page to scroll": (ABOUT, "720", "1440", "1280 x 1440"),
    "rows to take away": (
        "Hospital.Report/definition/report.json",
        "AllowSummarized",
        "AllowSummarizedAndUnderlying",
        "export the rows",
    ),
}


@pytest.mark.parametrize("fault", AGAINST_REPORT_RULES)
def test_rules_for_reports_find(fault: str, hospital: Project) -> None:
    path, old, new, said = AGAINST_REPORT_RULES[fault]
    hospital.change(path, old, new)
    assert any(said in one for one in report_rules.report_faults(hospital.report, sound_model()))


class TestTools:
    def test_that_are_missing_are_named_with_the_mend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "automation.machine.system.shutil.which",
            lambda name: f"/usr/bin/{name}" if name != "mono" else None,
        )
        monkeypatch.setattr("automation.machine.system.os.geteuid", lambda: 1000)
        tools.model_reader.cache_clear()
        with pytest.raises(FedError, match="sudo apt-get install mono-runtime"):
            tools.model_reader()

    def test_that_cannot_be_installed_leave_no_half(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(tools, "_npm", lambda: ["false"])
        with pytest.raises(FedError, match="could not be installed: false ci"):
            tools._npm_packages()
        assert list((tmp_path / "fed/powerbi").iterdir()) == []

    def test_an_old_node_is_passed_over(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        old, fresh = tmp_path / "node", tmp_path / "fed/node/24.12.0"
        old.write_text("#!/bin/sh\necho v18.20.4\n")
        old.chmod(0o755)
        (fresh / "bin").mkdir(parents=True)
        (fresh / "bin/node").touch()
        (fresh / "complete").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr("tests.unit.dashboards.powerbi.tools.shutil.which", lambda name: str(old))
        tools._node.cache_clear()
        try:
            assert tools._node() == str(fresh / "bin/node")
        finally:
            tools._node.cache_clear()


def test_every_curated_table_is_in_both_models() -> None:
    for audience in AUDIENCES:
        names = {
            path.stem for path in (project.folder(audience)).glob("*.SemanticModel/definition/tables/*.tmdl")
        }
        assert names == {*TABLES, "Measures"}


SELECTED = re.compile(
    r"CALCULATE \( SELECTEDVALUE \( (?P<table>\w+)\[(?P<column>\w+)\] \), "
    r'(?P=table)\[(?P<key>\w+)\] (= (?P<is>"\w+")|IN \{ (?P<among>[^}]+) \}) \)'
)


@pytest.mark.parametrize("measure", PAGES["measures"])
def test_a_measure_that_picks_a_value_picks_the_one_that_the_local_pages_pick(measure: str) -> None:
    """Nothing here computes DAX; what these measures pick out of a table can be read from them all."""
    picks = SELECTED.fullmatch(description.measures_by_name()[measure].dax)
    if picks is None:
        assert measure in NOT_PICKED
        return
    table, key = TABLES[picks["table"]], picks["key"]
    rows = {
        value: {f"{table.name}.{key}": value, f"{table.name}.reason": ""}
        | {f"{table.name}.{name}": f"{name} of {value}" for name in ("value", "x", "y", "n", "low", "high")}
        for value in table.column(key).values
    }
    wanted = re.findall(r'"(\w+)"', picks["is"] or picks["among"])
    others = [row for value, row in rows.items() if value not in wanted]
    for value in wanted:
        found = cube.MEASURES[measure](None, [*others, rows[value]])
        assert found.value == f"{picks['column']} of {value}"


NOT_PICKED = {
    "Hospitals", "Patients", "Finished Jobs", "Failed Jobs", "Last Run", "Rounds Done", "Run Seconds",
    "Shown Features", "Hidden Features", "Standardised Difference", "Share of Patients", "Hidden Cells",
    "Metric Value", "Gain", "Gain Low", "Gain High",
}  # fmt: skip
