"""The curated tables: right numbers from the real data, held to the schema, and each party's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from container_server.engine import EXEC_OUTPUT_LIMIT

from federation.values import SMALLEST_CELLS
from tests.unit.support import curation_world as world
from tests.unit.support.heart_features import described
from workloads.curation.__main__ import main
from workloads.curation.parquet import BrokenRowError, write
from workloads.curation.policy import LEAST_K, Policy
from workloads.curation.schema import DIM_SITE, TABLES

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of one statistics and one heart job over the real data."""
    found = tmp_path_factory.mktemp("curated")
    (found / "request.json").write_text(json.dumps(world.everything()))
    main(found)
    return found / "tables"


def rows(folder: Path, party: str, table: str, **where: Any) -> Rows:
    found = pq.read_table(folder / party / f"{table}.parquet").to_pylist()
    return [row for row in found if all(row[name] == value for name, value in where.items())]


class TestNumbers:
    @pytest.mark.parametrize("hospital", world.HOSPITALS)
    def test_a_hospital_sees_its_own_patients_exactly(self, folder: Path, hospital: str) -> None:
        age = world.patients(hospital)["age"]
        own = {
            row["statistic"]: row["value"]
            for row in rows(folder, hospital, "fact_statistics", site_key=hospital, feature_key="age")
        }
        assert own == {
            "count": len(age),
            "mean": pytest.approx(age.mean(), rel=1e-9),
            "stddev": pytest.approx(age.std(ddof=1), rel=1e-9),
            "missing": 0.0,
        }

    @pytest.mark.parametrize("feature", ["age", "trestbps", "chol", "oldpeak"])
    def test_the_federation_is_all_patients_together(self, folder: Path, feature: str) -> None:
        values = np.concatenate([world.patients(name)[feature] for name in world.HOSPITALS])
        values = values[~np.isnan(values)]
        found = {
            row["statistic"]: row["value"]
            for row in rows(folder, "centre", "fact_statistics", site_key="federation", feature_key=feature)
        }
        assert found["mean"] == pytest.approx(values.mean(), abs=0.11)
        assert found["stddev"] == pytest.approx(values.std(ddof=1), abs=0.11)
        assert abs(found["count"] - len(values)) <= 2.5 * len(world.HOSPITALS)

    def test_a_feature_of_one_hospital_is_not_the_federations(self, folder: Path) -> None:
        for row in rows(folder, "centre", "fact_statistics", site_key="federation", feature_key="ca"):
            assert (row["value"], row["reason"]) == (None, "fewer than 3 hospitals contribute")

    def test_counts_are_rounded_and_small_ones_hidden(self, folder: Path) -> None:
        for party in ("centre", *world.HOSPITALS):
            for row in rows(folder, party, "fact_histogram"):
                if row["site_key"] != party and row["count"] is not None:
                    assert row["count"] % 5 == 0
                    assert row["count"] == 0 or row["count"] >= 10
        hidden = rows(folder, "centre", "fact_histogram", suppressed=True)
        assert {"fewer than k patients", "a hospital's value is hidden"} <= {row["reason"] for row in hidden}

    def test_final_metrics_are_those_of_the_last_round(self, folder: Path) -> None:
        sent = world.everything()["runs"][1]["progress"]["history"][-1]
        final = rows(folder, "centre", "fact_metric", is_final=True)
        found = {(row["site_key"], row["metric"]): row for row in final}
        for hospital in world.HOSPITALS:
            row = found[hospital, "auc"]
            assert row["value"] == round(sent["sites"][hospital]["auc"], 3)
            assert row["low"] < row["value"] < row["high"]
        assert found["federation", "mean_site_auc"]["value"] == pytest.approx(
            sent["global"]["mean_site_auc"], abs=0.001
        )
        assert found["federation", "accuracy"]["value"] == pytest.approx(
            sent["global"]["accuracy"], abs=0.005
        )
        assert found["federation", "hospitals"]["value"] == 3


class TestParties:
    @pytest.mark.parametrize("party", ["centre", *world.HOSPITALS])
    def test_files_are_those_of_the_schema_and_no_others(self, folder: Path, party: str) -> None:
        files = {path.stem for path in (folder / party).iterdir()}
        assert files == set(TABLES)
        for name, table in TABLES.items():
            columns = pq.read_schema(folder / party / f"{name}.parquet").names
            assert columns == [column.name for column in table.columns]

    @pytest.mark.parametrize("hospital", world.HOSPITALS)
    def test_no_hospital_gets_anothers_metrics_or_unshared_rows(self, folder: Path, hospital: str) -> None:
        assert {row["site_key"] for row in rows(folder, hospital, "fact_metric")} == {"federation", hospital}
        for table in ("fact_statistics", "fact_histogram", "fact_metric"):
            for row in rows(folder, hospital, table):
                assert row["is_shared"] or row["site_key"] == hospital

    def test_others_see_no_exact_number_of_a_hospital(self, folder: Path) -> None:
        for table in ("fact_statistics", "fact_histogram"):
            own = rows(folder, "hungary", table, site_key="cleveland")
            centre = rows(folder, "centre", table, site_key="cleveland")
            value = "value" if table == "fact_statistics" else "count"
            for ours, theirs in zip(own, centre, strict=True):
                assert ours[value] in (theirs[value], None)

    def test_own_site_is_marked_and_access_is_to_it_alone(self, folder: Path) -> None:
        own = rows(folder, "hungary", "dim_site", is_own=True)
        assert [row["site_key"] for row in own] == ["hungary"]
        access = rows(folder, "hungary", "access")
        assert {row["site_key"] for row in access} == {"federation", "hungary"}
        assert not rows(folder, "centre", "dim_site", is_own=True)

    def test_of_two_hospitals_neither_learns_how_many_patients_the_other_has(self, tmp_path: Path) -> None:
        two = {name: world.published(world.patients(name)) for name in ("cleveland", "hungary")}
        content = world.request(world.statistics_run(1, two), hospitals=tuple(two))
        (tmp_path / "request.json").write_text(json.dumps(content))
        main(tmp_path)
        found = {row["site_key"]: row["patients"] for row in rows(tmp_path / "tables", "hungary", "dim_site")}
        assert found == {
            "federation": None,
            "cleveland": None,
            "hungary": len(world.patients("hungary")["age"]),
        }


class TestNewDescriptions:
    """A later release describes features otherwise; the tables are still made of all jobs."""

    def test_same_patients_in_other_cells_are_not_shown(self, tmp_path: Path) -> None:
        features = described()
        for feature in features:
            if feature["key"] == "age":
                feature["cells"] = 5
        later = self._published()
        for hospital in later.values():
            hospital["age"]["histogram"] = [[20.0, 90.0, 0.0]] * 5
        found = self._curated(tmp_path, features, later)
        assert {row["reason"] for row in found["fact_histogram"]} == {
            "too little changed since an earlier run"
        }
        assert {row["suppressed"] for row in found["fact_statistics"]} == {False}

    def test_feature_that_is_new_in_a_column_is_not_shown(self, tmp_path: Path) -> None:
        features, later = described(), self._published()
        features.append({**next(one for one in features if one["key"] == "sex"), "key": "sex=2"})
        for hospital in later.values():
            hospital["sex=2"] = hospital["sex"]
        found = self._curated(tmp_path, features, later, feature="sex=2")
        assert {row["value"] for row in found["fact_statistics"] if row["statistic"] != "missing"} == {None}

    def _published(self) -> dict[str, dict[str, Any]]:
        return {name: world.published(world.patients(name)) for name in world.HOSPITALS}

    def _curated(
        self, folder: Path, described: Rows, later: dict[str, Any], feature: str = "age"
    ) -> dict[str, Rows]:
        """What the centre sees of a feature of one hospital in the second of two jobs."""
        second = world.statistics_run(2, later)
        second["statistics"]["features"] = described
        content = world.request(world.statistics_run(1, self._published()), second)
        (folder / "request.json").write_text(json.dumps(content))
        main(folder)
        where = {"run_key": second["id"], "feature_key": feature, "site_key": "cleveland"}
        return {
            name: rows(folder / "tables", "centre", name, **where)
            for name in ("fact_statistics", "fact_histogram")
        }


class TestForeignJobs:
    @pytest.mark.parametrize(
        ("broken", "named"),
        [
            ({"statistics": {"features": [{"key": "age"}], "hospitals": {}}}, "missing"),
            ({"progress": None}, "AttributeError"),
            ({"progress": {"history": [{"round": 1, "sites": {}}] * 2}}, "told twice"),
            ({"statistics": {"features": [described()[0]] * 2, "hospitals": {}}}, "described twice"),
            ({"statistics": {"features": [{**described()[0], "kind": "x"}], "hospitals": {}}}, "kind 'x'"),
        ],
    )
    def test_job_that_wrote_something_else_is_left_out_and_named(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        broken: dict[str, Any],
        named: str,
    ) -> None:
        good, bad = world.training_run(1, rounds=1), {**world.training_run(2, rounds=1), **broken}
        (tmp_path / "request.json").write_text(json.dumps(world.request(good, bad)))
        main(tmp_path)
        answer = json.loads(capsys.readouterr().out)
        assert named in answer["refused"][bad["id"]]
        assert answer["left_out"] == 1
        assert [row["run_key"] for row in rows(tmp_path / "tables", "centre", "dim_run")] == [good["id"]]

    @pytest.mark.parametrize(
        ("sent", "named"),
        [
            ({"age": 3}, "AttributeError"),
            ({"age": {"count": "x"}}, "TypeError"),
            ({"sex": {"count": 100, "sum": 200, "stddev": 1}}, "200 of 100 patients"),
            ({"age": {"count": 100, "sum": 5000, "stddev": float("nan")}}, "of no patients"),
            ({"age": {"count": 1e300, "sum": 1, "stddev": 1}}, "of no patients"),
            ({"age": {"count": 100, "sum": 1, "stddev": -1}}, "of no patients"),
        ],
    )
    def test_statistics_of_no_patients_hide_their_hospital_and_not_the_run(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], sent: dict[str, Any], named: str
    ) -> None:
        honest = {name: world.published(world.patients(name)) for name in world.HOSPITALS}
        run = world.statistics_run(1, {**honest, "hungary": sent})
        answer = self.told(tmp_path, capsys, run)
        assert (answer["left_out"], list(answer["hospitals"][run["id"]])) == (0, ["hungary"])
        assert named in answer["hospitals"][run["id"]]["hungary"]
        found = rows(tmp_path / "tables", "centre", "fact_statistics", feature_key="age")
        assert {row["site_key"] for row in found} == {"federation", "cleveland", "va-long-beach"}

    @pytest.mark.parametrize(
        ("sent", "named"),
        [
            ({"auc": 2.0, "n_test": 90.0}, "auc of hungary is 2.0"),
            ({"loss": float("inf"), "n_test": 90.0}, "loss of hungary"),
            ({"n_test": -5.0}, "n_test of hungary"),
            ({"auc": 0.7}, "on how many test patients"),
            ({"auc": "x", "n_test": 90.0}, "TypeError"),
        ],
    )
    def test_metrics_of_no_patients_hide_their_hospital_and_not_the_run(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], sent: dict[str, Any], named: str
    ) -> None:
        """One hospital with an AUC of 2 kept the whole run out of everybody's tables."""
        run = world.training_run(1, rounds=2)
        run["progress"]["history"][0]["sites"]["hungary"] = sent
        answer = self.told(tmp_path, capsys, run)
        assert (answer["left_out"], list(answer["hospitals"][run["id"]])) == (0, ["hungary"])
        assert named in answer["hospitals"][run["id"]]["hungary"]
        for table in ("fact_metric", "fact_curve"):
            found = rows(tmp_path / "tables", "centre", table)
            assert {row["site_key"] for row in found} == {"federation", "cleveland", "va-long-beach"}

    def told(self, folder: Path, capsys: pytest.CaptureFixture[str], *runs: dict[str, Any]) -> dict[str, Any]:
        (folder / "request.json").write_text(json.dumps(world.request(*runs)))
        main(folder)
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    def test_an_auc_that_is_next_to_one_holds_up_nobodys_tables(self, tmp_path: Path) -> None:
        """Rounding made its spread less than nothing, which has no root."""
        run = world.training_run(1, rounds=1)
        for entry in run["progress"]["history"]:
            entry["sites"]["hungary"] |= {"auc": 1 - 3e-16, "prevalence": 0.84}
        (tmp_path / "request.json").write_text(json.dumps(world.request(run)))
        main(tmp_path)
        found = rows(tmp_path / "tables", "hungary", "fact_metric", site_key="hungary", metric="auc")
        assert {(row["low"], row["high"]) for row in found} == {(1.0, 1.0)}

    def test_answer_stays_short_however_many_jobs_are_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kind = [{**described()[0], "kind": "é\n" * 500}]
        broken = {**world.training_run(1, rounds=1), "statistics": {"features": kind, "hospitals": {}}}
        bad = [{**broken, "id": f"{number:08x}-0000-4000-8000-000000000000"} for number in range(300)]
        (tmp_path / "request.json").write_text(json.dumps(world.request(*bad)))
        main(tmp_path)
        printed = capsys.readouterr().out
        answer = json.loads(printed)
        assert answer["left_out"] == 300
        assert bad[0]["id"] in answer["refused"]
        assert len(printed) < EXEC_OUTPUT_LIMIT

    def test_run_with_a_round_on_few_patients_shows_no_round(self, tmp_path: Path) -> None:
        run = world.training_run(1, rounds=2)
        run["progress"]["history"][0]["sites"]["hungary"]["n_test"] = 3.0
        (tmp_path / "request.json").write_text(json.dumps(world.request(run)))
        main(tmp_path)
        found = rows(tmp_path / "tables", "centre", "fact_metric", site_key="hungary")
        assert {(row["value"], row["reason"]) for row in found} == {(None, "fewer than k patients")}

    def test_job_with_metrics_of_its_own_has_a_place_in_operations(self, tmp_path: Path) -> None:
        run = world.training_run(1, rounds=1)
        for entry in run["progress"]["history"]:
            entry["sites"] = {name: {"mse": 1.0} for name in entry["sites"]}
        del run["progress"]["scores"]
        (tmp_path / "request.json").write_text(json.dumps(world.request(run)))
        main(tmp_path)
        metrics = rows(tmp_path / "tables", "centre", "fact_metric")
        assert {row["metric"] for row in metrics} == {"seconds", "hospitals"}


class TestWriter:
    ROW: dict[str, Any] = {  # noqa: RUF012 - read only
        "site_key": "a",
        "site_label": "A",
        "kind": "hospital",
        "sort_order": 1,
        "is_own": False,
        "state": "running",
        "reported_at": None,
        "patients": None,
    }

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"kind": "clinic"}, "none of"),
            ({"kind": None}, "is null"),
            ({"extra": 1}, "missing or unknown"),
        ],
    )
    def test_a_row_that_breaks_the_schema_is_never_written(
        self, tmp_path: Path, change: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(BrokenRowError, match=named):
            write(DIM_SITE, [{**self.ROW, **change}], tmp_path / "x.parquet")
        with pytest.raises(BrokenRowError, match="two rows"):
            write(DIM_SITE, [self.ROW, self.ROW], tmp_path / "x.parquet")
        assert not (tmp_path / "x.parquet").exists()

    @pytest.mark.parametrize("k", [-1, 0, 4])
    def test_a_smallest_cell_below_five_is_refused(self, k: int) -> None:
        with pytest.raises(ValueError, match="may point at a person"):
            Policy(k)

    def test_the_smallest_cell_that_settings_allow_is_the_least_of_the_rules(self) -> None:
        assert SMALLEST_CELLS[0] == LEAST_K
