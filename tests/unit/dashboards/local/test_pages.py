"""The local pages: what they show is what an independent computation gives, or says why it is not shown."""

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from automation.operate import consent
from automation.operate.dashboards import curated
from automation.operate.dashboards import local as local_dashboards
from automation.ui.options import On
from automation.ui.outcome import QuestionError, RefusedError
from dashboards.local import left, theme
from dashboards.local.content import PAGES, pages
from dashboards.local.cube import MEASURES, Cube, Number, TablesError
from dashboards.local.render import render
from dashboards.local.wording import formatted, shown
from tests.unit.support import curation_world as world
from tests.unit.support.curated_pages import files_of, tables_folder

HUNGARY = "hungary"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tables_folder(tmp_path_factory.mktemp("curated"))


@pytest.fixture(scope="module")
def hospital(folder: Path) -> str:
    return render(files_of(folder, HUNGARY), HUNGARY)


@pytest.fixture(scope="module")
def centre(folder: Path) -> str:
    return render(files_of(folder, "centre"), "centre", mlflow="http://127.0.0.1:5000")


class Reading(HTMLParser):
    """A page as text: visual's id -> its table's rows by choice, and cards' numbers."""

    def __init__(self, text: str):
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self._visual, self._cell = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "article" and "visual" in str(given.get("class")).split():
            self._visual = str(given["aria-labelledby"])
            self.rows[self._visual] = []
        if tag == "tr":
            self.rows[self._visual].append([])
        if tag in ("td", "th"):
            self.rows[self._visual][-1].append("")
            self._cell = True
        if tag == "p" and str(given.get("class")).startswith("number"):
            self.rows[self._visual].append([""])
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "p"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell and self._visual:
            self.rows[self._visual][-1][-1] += data.strip()


def charts(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    content: dict[str, Any] = json.loads(found[1])["charts"]
    return content


def series(chart: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        trace["name"]: dict(zip(trace["x"], trace["y"], strict=True))
        for trace in chart["data"]
        if trace.get("showlegend", True)
    }


def test_names_are_read_and_never_obeyed(tmp_path: Path) -> None:
    """By the browser in tables, nor by plotly, which makes links of texts, in charts."""
    name = '<a href="https://example.org">x</a></script>'
    content = world.everything()
    for run in content["runs"]:
        run["job"] = name if run["job"] == "heart" else run["job"]
    for feature in content["runs"][0]["statistics"]["features"]:
        feature["label"] = name if feature["key"] == "age" else feature["label"]
    folder = tables_folder(tmp_path, content)
    for party in ("centre", HUNGARY):
        page = render(files_of(folder, party), party)
        written = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
        assert "example.org" in written
        assert '<a href="https' not in written
        assert "x</a></script>" not in written
        assert "<a" not in json.dumps(list(charts(page).values()))


class TestFigures:
    """Against the CSV files, with numpy alone."""

    def test_own_statistics_are_those_of_the_own_file(self, hospital: str) -> None:
        chol = world.patients(HUNGARY)["chol"]
        known = chol[~np.isnan(chol)]
        row = next(
            row
            for row in Reading(hospital).rows["compare-statistics"]
            if row[:2] == ["Cholesterol", "Hungary"]
        )
        assert row[2:5] == [f"{len(known)}", f"{known.mean():.3f}", f"{known.std(ddof=1):.3f}"]
        assert row[5] == f"{100 * (1 - len(known) / len(chol)):.1f} %"

    def test_difference_is_in_deviations_of_all_patients_together(self, hospital: str) -> None:
        everyone = np.concatenate([world.patients(name)["age"] for name in world.HOSPITALS])
        expected = (world.patients(HUNGARY)["age"].mean() - everyone.mean()) / everyone.std(ddof=1)
        chart = charts(hospital)["overview/differences/"]["data"][0]
        assert dict(zip(chart["y"], chart["x"], strict=True))["Age"] == pytest.approx(expected, abs=0.02)

    def test_histogram_is_that_of_the_own_file_where_the_hospital_lets_it_out(self, hospital: str) -> None:
        age = world.patients(HUNGARY)["age"]
        drawn = series(charts(hospital)["compare/shape/Age"])["Hungary"]
        counts, edges = np.histogram(age, bins=10, range=(20, 90))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            if count >= 30:
                assert drawn[f"{low:g} to {high:g}"] == pytest.approx(count / len(age))

    def test_auc_is_that_of_the_last_round(self, hospital: str, centre: str) -> None:
        sent = world.everything()["runs"][1]["progress"]["history"]
        final = sent[-1]["sites"]
        assert Reading(hospital).rows["models-auc"] == [[f"{final[HUNGARY]['auc']:.3f}"]]
        lines = series(charts(hospital)["models/rounds/heart"])["C-Statistic"]
        assert [lines[entry["round"]] for entry in sent] == [
            pytest.approx(entry["sites"][HUNGARY]["auc"]) for entry in sent
        ]
        drawn = series(charts(centre)["overview/alone/heart"])
        assert drawn["C-Statistic"]["Cleveland"] == round(final["cleveland"]["auc"], 3)
        assert drawn["C-Statistic Own Data Only"]["VA Long Beach"] == round(
            final["va-long-beach"]["own_auc"], 3
        )

    def test_cards_of_the_centre(self, centre: str) -> None:
        rows = Reading(centre).rows
        assert rows["overview-hospitals"] == [["3"]]
        assert rows["overview-patients"] == [["800"]]  # 303 + 294 + 200, each to the nearest 5
        assert rows["overview-jobs"] == [["2"]]


class TestChoice:
    def test_is_followed_by_charts_and_by_tables_that_have_it_as_a_column(self, folder: Path) -> None:
        by_page = {page.name: page for page in pages(Cube(files_of(folder, "centre")), "centre")}
        shape, table = (
            next(one for one in by_page["statistics"].visuals if one.name == name)
            for name in ("shape", "statistics")
        )
        assert set(shape.lines) == set(table.lines) == set(by_page["statistics"].choices)
        (versions,) = [one for one in by_page["models"].visuals if one.name == "versions"]
        assert set(versions.lines) == {""}
        assert all(number.value is not None for line in versions.lines[""] for number in line.numbers)


def test_mean_of_each_run_is_that_of_the_patients_it_had(tmp_path: Path) -> None:
    """Drift: with the second upload forty older patients came to Hungary."""
    rows = {name: world.patients(name) for name in world.HOSPITALS}
    grown = {name: np.append(values, values[:40]) for name, values in rows[HUNGARY].items()}
    grown["age"][-40:] = 80
    runs = [
        world.statistics_run(number, {name: world.published(known) for name, known in found.items()})
        for number, found in enumerate((rows, {**rows, HUNGARY: grown}), 1)
    ]
    folder = tables_folder(tmp_path, world.request(*runs))
    drawn = charts(render(files_of(folder, HUNGARY), HUNGARY))["compare/drift/Age"]["data"]
    assert [trace["y"] for trace in drawn] == [
        pytest.approx([rows[HUNGARY]["age"].mean(), grown["age"].mean()])
    ]
    centre = charts(render(files_of(folder, "centre"), "centre"))["statistics/drift/Age"]["data"]
    assert {trace["name"]: trace["y"][0] == trace["y"][1] for trace in centre} == {
        "Cleveland": True,
        "Hungary": False,
        "VA Long Beach": True,
    }


class TestTwoModels:
    """A second job's model, and a run of the first one that was aborted after it had missed a round."""

    @pytest.fixture(scope="class")
    def made(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        heart = world.training_run(2)
        other = json.loads(json.dumps(heart)) | {
            "id": f"{3:08x}",
            "job": "other",
            "submitted": heart["submitted"] + 60,
        }
        for entry in other["progress"]["history"]:
            for sent in entry["sites"].values():
                sent["auc"] = 0.55
        aborted = json.loads(json.dumps(heart)) | {
            "id": f"{4:08x}",
            "state": "aborted",
            "submitted": heart["submitted"] + 120,
        }
        del aborted["progress"]["history"][1]
        folder = tmp_path_factory.mktemp("two")
        return tables_folder(folder, world.request(heart, other, aborted))

    @pytest.mark.parametrize("party", [HUNGARY, "centre"])
    def test_each_is_shown_alone_when_it_is_chosen(self, made: Path, party: str) -> None:
        audience = "centre" if party == "centre" else "hospital"
        found = {page.name: page for page in pages(Cube(files_of(made, party)), audience)}
        chosen = {choice.partition(",")[0] for choice in found["models"].choices}
        assert chosen == {"heart", "other"}
        numbers = {
            (visual.name, choice): [number.value for line in lines for number in line.numbers]
            for page in found.values()
            for visual in page.visuals
            for choice, lines in visual.lines.items()
            if choice and visual.kind in ("card", "columns", "intervals") and page.name != "statistics"
        }
        assert numbers
        assert not [key for key, values in numbers.items() if None in values]

    def test_a_missed_round_is_a_gap_and_its_run_is_marked(self, made: Path) -> None:
        page = render(files_of(made, "centre"), "centre")
        drawn = series(charts(page)["models/rounds/heart, Accuracy"])
        (name,) = [name for name in drawn if name.endswith("(aborted)")]
        assert drawn[name][1] is None
        assert None not in [drawn[name][0], drawn[name][2]]

    def test_a_gain_that_may_be_none_is_no_gain_in_colour(self, made: Path) -> None:
        page = render(files_of(made, HUNGARY), HUNGARY)
        assert "gain-good" not in page.partition("</style>")[2]
        rows = Reading(page).rows["models-versions"]
        low, high = (rows[0].index(f"Gain {end}") for end in ("Low", "High"))
        ends = {
            row[0].partition(",")[0] + row[0].partition("Nov")[2]: (row[low][0], row[high][0])
            for row in rows
            if row != rows[0]
        }
        assert ends["heart 1"] == ends["heart 2 (aborted)"] == ("\N{MINUS SIGN}", "+")
        assert ends["other 1"] == ("\N{MINUS SIGN}", "\N{MINUS SIGN}")


class TestTwoDataSets:
    """Heart disease, yes or no, and the time until readmission: each has its own words and figures."""

    @pytest.fixture(scope="class")
    def made(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tables_folder(tmp_path_factory.mktemp("data-sets"), world.two_data_sets())

    def test_each_job_shows_the_metric_that_it_has(self, made: Path) -> None:
        history = world.readmission_run(3)["progress"]["history"]
        final = history[-1]["sites"]
        page = render(files_of(made, HUNGARY), HUNGARY)
        assert [f"{final[HUNGARY]['concordance']:.3f}"] in Reading(page).rows["models-auc"]
        trained = series(charts(page)["models/rounds/readmission"])["C-Statistic"]
        assert [trained[entry["round"]] for entry in history] == [
            pytest.approx(entry["sites"][HUNGARY]["concordance"]) for entry in history
        ]
        centre = render(files_of(made, "centre"), "centre")
        drawn = series(charts(centre)["overview/alone/readmission"])
        assert drawn["C-Statistic"]["Cleveland"] == round(final["cleveland"]["concordance"], 3)
        names = {
            name.rpartition(", ")[2]
            for name in charts(centre)
            if name.startswith("models/rounds/readmission")
        }
        assert {"Mean concordance", "Log loss"} <= names
        assert not [name for name in names if "AUC" in name or "Brier" in name]

    def test_federation_s_concordance_is_the_mean_of_the_hospitals(self, made: Path) -> None:
        final = world.readmission_run(3)["progress"]["history"][-1]["sites"]
        rows = Reading(render(files_of(made, "centre"), "centre")).rows["models-versions"]
        (line,) = [row for row in rows if row[0].startswith("readmission")]
        assert line[3] == f"{np.mean([round(sent['concordance'], 3) for sent in final.values()]):.3f}"

    def test_only_the_job_with_scores_has_curves(self, made: Path) -> None:
        page = render(files_of(made, HUNGARY), HUNGARY)
        assert {name.rpartition("/")[2] for name in charts(page) if name.startswith("curves/")} == {"heart"}


class TestCurves:
    def test_own_curve_is_that_of_the_scores_that_left(self, hospital: str) -> None:
        scores = world.everything()["runs"][1]["progress"]["scores"]["sites"][HUNGARY]
        (own,) = [one for one in charts(hospital)["curves/roc/heart"]["data"] if one.get("name") == "Hungary"]
        healthy, ill = np.array(scores["negative"]), np.array(scores["positive"])
        expected = [ill[cut:].sum() / ill.sum() for cut in range(20, -1, -1)]
        assert own["y"] == pytest.approx(expected, abs=0.001)
        assert own["x"] == pytest.approx(
            [healthy[cut:].sum() / healthy.sum() for cut in range(20, -1, -1)], abs=0.001
        )

    def test_federation_is_on_both_and_a_hospital_without_a_curve_says_why(self, centre: str) -> None:
        names = {one.get("name") for one in charts(centre)["curves/roc/heart"]["data"]}
        assert names == {None, "Federation", "Cleveland", "Hungary"}
        rows = Reading(centre).rows
        withheld = {
            visual: {
                row[1]: row[2].partition("(")[0] for row in rows[f"curves-{visual}"][1:] if "(" in row[2]
            }
            for visual in ("roc", "calibration")
        }
        assert withheld == {
            "roc": {"VA Long Beach": "<10"},
            "calibration": {"Federation": "hidden", "Hungary": "<10", "VA Long Beach": "<10"},
        }

    def test_interval_of_a_group_is_drawn_around_its_share(self, hospital: str) -> None:
        (own,) = [
            one
            for one in charts(hospital)["curves/calibration/heart"]["data"]
            if one.get("name") == "Hungary"
        ]
        assert all(gap >= 0 for gap in own["error_y"]["array"] + own["error_y"]["arrayminus"])


class TestWithheld:
    def test_says_less_than_k_or_hidden_and_why(self, centre: str) -> None:
        assert '<span class="hidden-value" title="fewer than 10 patients">' in centre
        assert "would give a hidden cell away" in centre
        rows = Reading(centre).rows["statistics-statistics"]
        withheld = {cell.partition("(")[0] for row in rows for cell in row if "(" in cell}
        assert withheld == {"<10", "hidden"}

    def test_chart_marks_it_and_tells_no_number(self, centre: str) -> None:
        chart = charts(centre)["statistics/shape/Age"]
        (stubs,) = [
            trace
            for trace in chart["data"]
            if trace["name"] == "Hungary" and not trace.get("showlegend", True)
        ]
        assert stubs["marker"]["pattern"]["shape"] == "/"
        marked = {
            text for height, text in zip(stubs["y"], stubs["customdata"], strict=True) if height is not None
        }
        assert "<10 (fewer than 10 patients)" in marked
        assert all("(" in text for text in marked)
        assert len({height for height in stubs["y"] if height is not None}) == 1

    def test_no_exact_number_of_another_hospital_is_anywhere_on_the_page(self, hospital: str) -> None:
        ages = world.patients("cleveland")["age"]
        for secret in (f"{ages.mean():.3f}", f"{ages.std(ddof=1):.3f}"):
            assert secret not in re.sub(r"<script>.*?</script>", "", hospital, flags=re.DOTALL)


class TestPages:
    @pytest.mark.parametrize("audience", ["hospital", "centre"])
    def test_are_those_of_the_description(self, folder: Path, audience: str) -> None:
        party = HUNGARY if audience == "hospital" else "centre"
        found = pages(Cube(files_of(folder, party)), audience)
        assert [page.name for page in found] == [page["name"] for page in PAGES[audience]]
        for page, described in zip(found, PAGES[audience], strict=True):
            assert [one.title for one in page.visuals] == [one["title"] for one in described["visuals"]]

    def test_every_measure_of_the_description_is_computed(self) -> None:
        assert set(MEASURES) == set(PAGES["measures"])

    def test_colours_are_the_themes(self, centre: str) -> None:
        for colour in theme.THEME["dataColors"]:
            assert colour in centre

    def test_two_different_values_in_sight_are_no_value(self, folder: Path) -> None:
        cube = Cube(files_of(folder, "centre"))
        assert cube.measure("Mean", cube.rows["fact_statistics"]) == Number(None, "")

    def test_tables_of_another_version_are_refused(self, folder: Path) -> None:
        files = files_of(folder, HUNGARY)
        with pytest.raises(TablesError, match="there is no dim_run"):
            Cube({name: content for name, content in files.items() if name != "dim_run"})
        with pytest.raises(TablesError, match="dim_run has other columns"):
            Cube({**files, "dim_run": files["dim_site"]})
        with pytest.raises(TablesError, match="dim_run is no Parquet file"):
            Cube({**files, "dim_run": b"half a file"})

    @pytest.mark.parametrize(
        ("value", "form", "text"),
        [
            (1234.0, "#,##0", "1,234"),
            (0.5, "#,##0.0##", "0.5"),
            (54.4388, "#,##0.0##", "54.439"),
            (0.0849, "0.0 %", "8.5 %"),
            (-0.015, "+0.000;-0.000;0.000", "\N{MINUS SIGN}0.015"),
            (0.02, "+0.000;-0.000;0.000", "+0.020"),
            (0.0001, "+0.00;-0.00;0.00", "0.00"),
        ],
    )
    def test_numbers_are_written_as_power_bi_writes_them(self, value: float, form: str, text: str) -> None:
        assert formatted(value, form) == text

    def test_nothing_is_said_of_why_where_nothing_is_withheld(self) -> None:
        assert shown(Number(), "0", 10) == "\N{EN DASH}"


class TestWhatLeft:
    """The page of a hospital's record, which is not of the curated tables."""

    ASKED: ClassVar[dict[str, Any]] = {"job_id": "12345678-1", "name": "heart<b>", "code": "c" * 64}
    RECORD: ClassVar[list[dict[str, Any]]] = [
        {**ASKED, "event": "asked-1", "time": "20261201T090000.000000Z", "answer": "waiting"},
        {**ASKED, "event": "asked-2", "time": "20261201T090100.000000Z", "answer": "approved"},
        {
            "event": "released",
            "job_id": "12345678-1",
            "time": "20261201T090200.000000Z",
            "task": "train",
            "round": 0,
            "kind": "WEIGHT_DIFF",
            "numbers": 30,
            "metrics": {"auc": 0.9},
            "epsilon": 1.5,
        },
        {
            "event": "refused",
            "job_id": "12345678-1",
            "time": "20261201T090300.000000Z",
            "task": "train",
            "round": 1,
            "refused": "no number",
        },
        {"event": "airlock", "time": "20261201T090400.000000Z", "policy": {"longest": 0.5}},
    ]

    def test_adds_up_each_job_and_shows_every_line(self, folder: Path) -> None:
        text = render(files_of(folder, HUNGARY), HUNGARY, record=self.RECORD)
        rows = Reading(text).rows
        cards = {name: rows[f"left-{name}"] for name in ("answers", "numbers", "kept", "spent")}
        assert cards == {"answers": [["1"]], "numbers": [["30"]], "kept": [["1"]], "spent": [["1.5"]]}
        _, job = rows["left-jobs"]
        assert job[1:] == ["c" * 12, "2026-12-01 09:00:00", "approved", "no number", "1", "30", "1"]
        assert [line[1] for line in rows["left-all"][1:]] == [
            "our airlock's policy",
            "kept back by the airlock",
            "left",
            "asked: approved",
            "asked: waiting",
        ]
        assert "heart<b>" not in text

    def test_is_on_no_page_without_a_record(self, hospital: str, centre: str) -> None:
        assert left.PAGE.title not in hospital + centre

    def test_is_made_for_a_hospital_that_nothing_has_asked(self, folder: Path) -> None:
        rows = Reading(render(files_of(folder, HUNGARY), HUNGARY, record=[])).rows
        assert rows["left-answers"] == [["0"]]

    @pytest.mark.parametrize(
        ("on", "party", "source", "account", "read"),
        [
            (On.EMULATOR, HUNGARY, None, None, True),
            (On.EMULATOR, HUNGARY, "tables", None, False),
            (On.EMULATOR, "centre", None, None, False),
            (On.AZURE, HUNGARY, "https://tables", "sthungary", True),
            (On.AZURE, HUNGARY, "https://tables", None, False),
        ],
    )
    def test_its_record_is_read_by_who_may(
        self,
        on: On,
        party: str,
        source: str | None,
        account: str | None,
        read: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked: list[tuple[Any, ...]] = []
        monkeypatch.setattr(consent, "record_of", lambda *words: asked.append(words) or [])
        assert (local_dashboards._record("dev", on, party, source, account) is not None) is read
        assert asked == ([("dev", on, party, account)] if read else [])


class TestCommand:
    def test_makes_a_page_from_a_folder(self, folder: Path, tmp_path: Path) -> None:
        made = local_dashboards.make(
            "dev", On.AZURE, parties=(HUNGARY,), source=str(folder / HUNGARY), folder=tmp_path, as_json=False
        )
        assert made == [tmp_path / "hungary.html"]
        assert "<h1>" in made[0].read_text()

    @pytest.mark.parametrize(
        ("parties", "source"), [((), "."), (("a", "b"), "."), (("a",), "nowhere"), (("../a",), ".")]
    )
    def test_refuses_a_question_it_cannot_answer(
        self, parties: tuple[str, ...], source: str, tmp_path: Path
    ) -> None:
        with pytest.raises(QuestionError, match="--from"):
            local_dashboards.make(
                "dev", On.AZURE, parties=parties, source=source, folder=tmp_path, as_json=False
            )

    def test_says_that_a_job_is_needed(self, tmp_path: Path) -> None:
        with pytest.raises(RefusedError, match="fed train"):
            curated.of_folder(tmp_path, HUNGARY)
