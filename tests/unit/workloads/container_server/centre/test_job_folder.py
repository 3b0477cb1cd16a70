"""A job is what its job.yaml says: one clear message for each mistake, and nothing of it is run."""

import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from container_server.centre.composed import Asked, Composed, compose
from container_server.centre.job_folder import JobFolder, JobRefusedError
from container_server.centre.workflows import CLASSES
from fed_site import job_form
from fed_site.job_code import CLIENT
from safetensors.numpy import save

from tests.unit.support.job_archives import EXAMPLES, JOBS, folder_of, settings
from tests.unit.support.workloads_world import job_files
from workloads.jobs.heart.heart_job import model

SERVER = "app_server/config/config_fed_server.json"
DESCRIBED = sorted(path.parent for place in (JOBS, EXAMPLES) for path in place.glob("*/job.yaml"))


def folder(root: Path, files: Mapping[str, str | bytes], name: str = "pulse") -> Path:
    for path, content in files.items():
        (root / name / path).parent.mkdir(parents=True, exist_ok=True)
        (root / name / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return root / name


def read(root: Path, more: Mapping[str, bytes] | None = None, **changes: Any) -> JobFolder:
    """A small job with other keys in its job.yaml; None takes a key away."""
    files = job_files("pulse")
    described = {**yaml.safe_load(files["job.yaml"]), **changes}
    content = {key: value for key, value in described.items() if value is not None}
    return JobFolder.read(folder(root, {**files, **(more or {}), "job.yaml": yaml.safe_dump(content)}))


def composed(job: JobFolder, **asked: Any) -> Composed:
    return compose(job, Asked(**{"rounds": job.rounds, "parameters": job.parse({}), **asked}), ["a", "b"])


@pytest.mark.parametrize("place", DESCRIBED)
def test_the_platforms_jobs_and_the_examples_are_well_described(place: Path) -> None:
    job = JobFolder.read(place)
    made = composed(job, inputs={"scaling": {}}, boxes=["tabular@sha256:" + "1" * 64])
    arrived = {path.partition("/")[2]: text for path, text in made.nvflare.items() if "app_hospital" in path}
    job_form.check(arrived, {})


class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"name": "Pulse"}, "$.name"),
            ({"name": "other"}, "expected its folder's name"),
            ({"purpose": None}, "'purpose' is a required property (What the job is for"),
            ({"purpose": "p" * 501}, "$.purpose"),
            ({"runds": 3}, "'runds' was unexpected"),
            ({"build": "a.b:c"}, "'build' was unexpected"),
            ({"minimum_sites": 0}, "$.minimum_sites: 0 is less than the minimum of 1"),
            ({"rounds": -1}, "$.rounds: -1 is less"),
            ({"rounds": True}, "$.rounds: True is not of type 'integer'"),
            ({"rounds": None}, "rounds is missing: the workflow averaging needs it"),
            ({"script": None}, "script is missing"),
            ({"model": None}, "model is missing"),
            ({"model": {"arrays": {"w": [3]}, "file": "start.npz"}}, "one of the two"),
            ({"model": {"arrays": {"w": [0]}}}, "$.model.arrays.w[0]: 0 is less"),
            ({"model": {"arrays": {"w": [10_000, 10_000]}}}, "larger than"),
            ({"model": {"arrays": {"w": [3]}, "features": ["a"]}}, "features names 1 numbers"),
            ({"model": {"file": "start.npz"}}, "start.npz is not in the job's folder"),
            ({"script": {"path": "../x.py"}}, "$.script.path"),
            ({"script": {"path": "x.py"}}, "x.py is not in the job's folder"),
            ({"script": {"path": "job.py", "files": ["/etc/passwd"]}}, "$.script.files[0]"),
            ({"script": {"path": "job.py", "arguments": ["{stps}"]}}, "{stps} stands for nothing"),
            ({"workflow": "gossip"}, "'gossip' is not one of"),
            ({"workflow": "sum", "measuring_round": True}, "measuring_round has no meaning"),
            ({"workflow": "statistics"}, "statistics is missing"),
            ({"statistics": {"features": {"a=1": {"label": "A"}}}}, "statistics has no meaning"),
            ({"box": "torch:latest"}, "$.box"),
            ({"aggregation": "fedprox"}, "aggregation fedprox and the number mu go together"),
            ({"longest": 1.0}, "aggregation norm-bounded and the number longest go together"),
            ({"longest": 1.0, "workflow": "cross-site"}, "the number longest go together"),
            ({"study": "Heart 2026"}, "$.study"),
            ({"metrics": "auc"}, "$.metrics: 'auc' is not of type 'array'"),
            ({"needed_metrics": ["auc"]}, "auc is needed, and not among the metrics"),
            ({"histograms": {"ill": 51}}, "$.histograms.ill: 51 is greater"),
            ({"data": ["heart.csv"]}, "$.data"),
            ({"data": {"heart.csv": "age"}}, "$.data['heart.csv']"),
            ({"data": {"heart.csv": ["age", "days"]}}, "heart.csv has no column days. Fix: ./fed dataset"),
            ({"parameters": {"steps": {"type": "int"}}}, "'default' is a required property"),
            ({"parameters": {"rounds": {"type": "int", "default": 1}}}, "rounds is no name for a parameter"),
            ({"gates": [{"metric": "auc", "of": "each"}]}, "one of at_least and at_most"),
            ({"report": {"kind": "binary-classifier", "negative": "a", "positive": "b"}}, "n_test is needed"),
            ({"predictor": {"path": "p/q.py", "inputs": ["a"], "output": "r", "example": {}}}, "p/q.py is"),
            ({"needs": {"s": {"result": "a/b.json", "otherwise": {}}}}, "$.needs.s.otherwise"),
        ],
    )  # fmt: skip
    def test_each_is_one_message(self, tmp_path: Path, changes: dict[str, Any], named: str) -> None:
        with pytest.raises(JobRefusedError) as refusal:
            composed(read(tmp_path, **changes))
        assert named in str(refusal.value)
        assert "pulse" in str(refusal.value)

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("", "None is not of type 'object'"),
            ("name: [", "cannot be read"),
            ("name: pulse\nname: pulse", "a key is there twice"),
            ("name: &a pulse\ntitle: *a", "aliases (*name) are not taken"),
            ("name: pulse\n1: x", "the key 1 is no text"),
            ("name: pulse\nrounds: .inf", ".inf is no finite number, in line 2"),
            ("name: !!python/object/apply:os.system [true]", "could not determine a constructor"),
            ("a: " + "[" * 5000, "cannot be read"),
            ("#" * 300_000, "larger than"),
        ],
    )
    def test_what_is_no_plain_yaml_is_named(self, tmp_path: Path, text: str, named: str) -> None:
        with pytest.raises(JobRefusedError) as refusal:
            JobFolder.read(folder(tmp_path, {"job.yaml": text}))
        assert named in str(refusal.value)

    def test_without_a_job_yaml_it_is_no_job(self, tmp_path: Path) -> None:
        with pytest.raises(JobRefusedError, match=r"has no job\.yaml"):
            JobFolder.read(folder(tmp_path, {"x.py": ""}))

    def test_a_link_is_no_file_of_the_job(self, tmp_path: Path) -> None:
        place = folder(tmp_path, job_files("pulse", script={"path": "secret.py"}))
        (place / "secret.py").symlink_to("/etc/hostname")
        with pytest.raises(JobRefusedError, match=r"secret\.py is not in the job's folder"):
            JobFolder.read(place)

    def test_parameters_are_typed_bounded_and_known(self, tmp_path: Path) -> None:
        rules = {
            "steps": {"type": "int", "default": 5, "minimum": 1, "maximum": 20},
            "rate": {"type": "float", "default": 0.5},
        }
        job = read(tmp_path, parameters=rules)
        assert job.parse({}) == {"steps": 5, "rate": 0.5}
        assert job.parse({"steps": "7"})["steps"] == 7
        for given, named in (
            ({"steps": "x"}, "not of type int"),
            ({"steps": "0"}, "below its minimum"),
            ({"steps": "21"}, "above its maximum"),
            ({"rate": "nan"}, "is not finite"),
            ({"step": "1"}, "it has: rate, steps"),
        ):
            with pytest.raises(JobRefusedError, match=named):
                job.parse(given)

    def test_the_checksum_is_that_of_names_and_contents(self, tmp_path: Path) -> None:
        before = read(tmp_path).checksum
        folder(tmp_path, {"__pycache__/x.pyc": ""})
        assert read(tmp_path).checksum == before
        folder(tmp_path, {"x.py": ""})
        assert read(tmp_path).checksum != before


class TestAtTheServer:
    WORKFLOWS: Mapping[str, Mapping[str, Any]] = {
        "averaging": {"measuring_round": True},
        "sum": {},
        "cyclic": {},
        "cross-site": {},
        "statistics": {
            **dict.fromkeys(("rounds", "model", "script", "parameters")),
            "statistics": {"features": {"age": {"label": "Age"}}},
            "data": {"heart.csv": ["age"]},
        },
    }

    def config(self, tmp_path: Path, workflow: str, **changes: Any) -> dict[str, Any]:
        job = read(tmp_path, workflow=workflow, **{**self.WORKFLOWS[workflow], **changes})
        found: dict[str, Any] = json.loads(composed(job).nvflare[SERVER])
        return found

    @pytest.mark.parametrize("workflow", WORKFLOWS)
    def test_only_the_platforms_and_nvflares_classes_are_named(self, tmp_path: Path, workflow: str) -> None:
        config = self.config(tmp_path, workflow)
        parts = [*config["workflows"], *config["components"]]
        assert {part["path"] for part in parts} <= set(CLASSES)
        assert all(path.startswith(("fed_server.", "nvflare.app_common.")) for path in CLASSES)

    @pytest.mark.parametrize("workflow", WORKFLOWS)
    def test_nothing_that_a_job_names_gets_into_nvflares_configuration(
        self, tmp_path: Path, workflow: str
    ) -> None:
        """Of a table with one of these keys NVFlare builds an object, and what is in braces it fills in."""
        hostile = {
            "metrics": ["path", "class_path"],
            "histograms": {"path": 3, "args": 3},
            "title": "{path}",
            "data": {"path": ["name", "age"]},
            "gates": [{"metric": "path", "at_least": 0}],
        }
        plain = self.config(tmp_path, workflow)
        assert self.config(tmp_path, workflow, **hostile) == plain

    @pytest.mark.parametrize("workflow", WORKFLOWS)
    def test_there_is_no_code_for_it_but_as_data(self, tmp_path: Path, workflow: str) -> None:
        job = read(tmp_path, workflow=workflow, **self.WORKFLOWS[workflow])
        made = composed(job)
        assert [path for path in made.nvflare if path.startswith("app_server")] == [SERVER]
        script = [] if workflow == "statistics" else ["code/job.py"]
        assert sorted(made.server) == sorted(["plan.json", "code/job.yaml", *script])

    def test_one_round_more_measures(self, tmp_path: Path) -> None:
        (rounds,) = self.config(tmp_path, "averaging")["workflows"]
        assert rounds["args"] == {"start_round": 0, "num_rounds": 11, "min_clients": 1}

    def test_code_that_predicts_goes_along_as_data(self) -> None:
        made = composed(folder_of("heart"), inputs={"scaling": {}})
        assert set(made.server) == {
            "plan.json",
            "code/job.yaml",
            *(f"code/heart_job/{name}.py" for name in ("__init__", "model", "train")),
            *(f"predictor/heart_job/{name}.py" for name in ("__init__", "model", "predictor")),
        }

    def test_it_is_told_which_data_each_hospital_had_and_by_which_schema(self) -> None:
        known = {"sha256": "ab" * 32, "rows": 310}
        data = {"cleveland": {"heart.csv": known, "other.csv": known}}
        plan = json.loads(composed(folder_of("heart"), inputs={"scaling": {}}, data=data).server["plan.json"])
        assert plan["data"] == {"cleveland": {"heart.csv": known}}
        assert plan["data_sets"]["heart.csv"].keys() == {"name", "version", "sha256"}
        assert plan["data_sets"]["heart.csv"]["name"] == "heart"


class TestAtTheHospitals:
    @pytest.mark.parametrize(
        ("changes", "asked", "answers"),
        [
            ({}, {"rounds": 10}, 10),
            ({"measuring_round": True}, {"rounds": 10}, 11),
            ({"measuring_round": True}, {"rounds": 10, "first_round": 4}, 7),
            ({"workflow": "cross-site"}, {"rounds": 1}, 4),
        ],
    )
    def test_the_manifest_announces_how_many_answers_a_hospital_gives(
        self, tmp_path: Path, changes: dict[str, Any], asked: dict[str, Any], answers: int
    ) -> None:
        made = composed(read(tmp_path, **changes), **asked).nvflare["app_hospital/manifest.json"]
        assert json.loads(made)["answers"] == answers

    def arguments(self, job: JobFolder, **asked: Any) -> dict[str, Any]:
        (executor,) = json.loads(composed(job, **asked).nvflare[f"app_hospital/{CLIENT}"])["executors"]
        found: dict[str, Any] = executor["executor"]["args"]
        return found

    def test_placeholders_are_filled_in_with_numbers(self, tmp_path: Path) -> None:
        script = {
            "path": "job.py",
            "arguments": ["--steps", "{steps}", "--rounds", "{rounds}", 7],
            "settings": {"deep": {"list": ["{steps}", "x"]}},
        }
        found = self.arguments(read(tmp_path, script=script), rounds=3, parameters={"steps": 9})
        assert found["arguments"] == ["--steps", 9, "--rounds", 3, 7]
        assert found["settings"] == {"deep": {"list": [9, "x"]}}

    def test_mu_is_given_to_the_script(self, tmp_path: Path) -> None:
        found = self.arguments(read(tmp_path, aggregation="fedprox", mu=0.01))
        assert found["settings"] == {"mu": 0.01}

    def test_in_cross_site_it_also_measures_models(self, tmp_path: Path) -> None:
        job = read(tmp_path, workflow="cross-site")
        (executor,) = json.loads(composed(job).nvflare[f"app_hospital/{CLIENT}"])["executors"]
        assert executor["tasks"] == ["train", "validate"]


class TestInputs:
    def test_what_a_result_lacks_has_its_usual_value_and_what_it_has_more_is_left(self) -> None:
        found = settings("heart", {"age": [50, 10.0], "weight": [70.0, 9.0]})["scaling"]
        assert list(found) == list(model.FEATURES)
        assert (found["age"], found["ca"], found["ca missing"]) == ([50.0, 10.0], [1.0, 1.0], [0.2, 0.4])

    @pytest.mark.parametrize(
        "result", [[], "x", *({"age": age} for age in (3, [1, 2, 3], [1, "x"], [True, 1], None))]
    )
    def test_a_result_of_another_form_is_refused(self, result: Any) -> None:
        with pytest.raises(JobRefusedError, match=r"statistics/scaling\.json holds"):
            settings("heart", result)

    def test_features_are_the_names_of_the_models_numbers(self) -> None:
        assert folder_of("heart").content["model"]["features"] == ["intercept", *model.FEATURES]


class TestStart:
    ARRAYS: Mapping[str, np.ndarray[Any, Any]] = {
        "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "file": np.array(0.5),
    }

    def npz(self, arrays: Mapping[str, Any]) -> bytes:
        written = io.BytesIO()
        np.savez(written, **{f"_{name}": array for name, array in arrays.items()})
        return written.getvalue()

    def start(self, tmp_path: Path, name: str, content: bytes) -> Composed:
        return composed(read(tmp_path, {name: content}, model={"file": name}))

    def test_safetensors_are_taken_as_they_are(self, tmp_path: Path) -> None:
        made = self.start(tmp_path, "start.safetensors", save(dict(self.ARRAYS)))
        with np.load(io.BytesIO(made.server["start.npz"]), allow_pickle=False) as opened:
            assert {name: opened[name].dtype for name in opened.files} == {
                name: array.dtype for name, array in self.ARRAYS.items()
            }
            assert (opened["layer.weight"] == self.ARRAYS["layer.weight"]).all()
        assert json.loads(made.nvflare["app_hospital/manifest.json"])["leaves"]["model"] == {
            "layer.weight": "2x3",
            "file": "scalar",
        }

    def test_npz_too(self, tmp_path: Path) -> None:
        made = self.start(tmp_path, "start.npz", self.npz(self.ARRAYS))
        assert json.loads(made.server["plan.json"])["arrays"] == {"_layer.weight": [2, 3], "_file": []}

    @pytest.mark.parametrize(
        ("content", "named"),
        [
            (b"", "cannot be taken as a model"),
            (pickle.dumps({"w": [1]}), "cannot be taken as a model"),
            ("objects", "allow_pickle=False"),
            ("infinite", "finite numbers of a float type"),
            ("whole", "finite numbers of a float type"),
            ("none", "it holds 0 arrays"),
        ],
    )
    def test_anything_else_is_refused(self, tmp_path: Path, content: Any, named: str) -> None:
        arrays = {
            "objects": {"w": np.array([{}])},
            "infinite": {"w": np.array([np.inf])},
            "whole": {"w": np.array([1])},
            "none": {},
        }
        given = content if isinstance(content, bytes) else self.npz(arrays[content])
        with pytest.raises(JobRefusedError, match=named):
            self.start(tmp_path, "start.npz", given)

    def test_another_kind_of_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(JobRefusedError, match=r"expected a \.npz or \.safetensors file"):
            self.start(tmp_path, "start.pt", b"x")


class TestBox:
    TABULAR = "tabular@sha256:" + "1" * 64

    def manifest(self, made: Composed) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(made.nvflare["app_hospital/manifest.json"])
        return said

    def test_hospitals_are_told_its_image_by_digest(self, tmp_path: Path) -> None:
        made = composed(read(tmp_path, box="tabular"), boxes=["torch@sha256:" + "2" * 64, self.TABULAR])
        assert self.manifest(made)["box"] == self.TABULAR

    @pytest.mark.parametrize("box", [None, "base"])
    def test_the_clients_own_needs_no_word(self, tmp_path: Path, box: str | None) -> None:
        assert "box" not in self.manifest(composed(read(tmp_path, box=box), boxes=[self.TABULAR]))

    def test_one_that_hospitals_do_not_have_is_refused_with_those_they_have(self, tmp_path: Path) -> None:
        with pytest.raises(
            JobRefusedError, match=r"no box torch; they have: base, tabular\. Fix: .*fed:images"
        ):
            composed(read(tmp_path, box="torch"), boxes=[self.TABULAR])

    def test_a_scripts_framework_goes_to_its_box(self, tmp_path: Path) -> None:
        script = {"path": "train.py", "framework": "torch"}
        made = composed(read(tmp_path, {"train.py": b""}, script=script))
        config = json.loads(made.nvflare["app_hospital/config/config_fed_client.json"])
        assert config["executors"][0]["executor"]["args"]["framework"] == "torch"
