"""A job arrives in one form only: each way to smuggle code into the client's own process is refused."""

import json
from typing import Any

import pytest
from container_server import local_config
from fed_site import job_form
from fed_site.job_code import CLIENT
from fed_site.job_form import BOX, JobFormError, check

from tests.unit.support.job_archives import manifest_content

ARGUMENTS = {"script": "job/train.py", "arguments": ["--rate", 0.5], "settings": {"scale": {"age": [1, 2]}}}
NESTED: Any = {"path": "os.system", "args": {"command": "id"}}


def config(**changes: Any) -> dict[str, Any]:
    executor = {"path": BOX, "args": {**ARGUMENTS, **changes}}
    return {"format_version": 2, "executors": [{"tasks": ["train"], "executor": executor}]}


def job(content: Any = None, **more: bytes) -> dict[str, bytes]:
    text = content if isinstance(content, bytes) else json.dumps(content or config()).encode()
    return {CLIENT: text, "code/job/train.py": b"print()", **more}


def with_executor(**changes: Any) -> dict[str, Any]:
    made = config()
    made["executors"][0] |= changes
    return made


def test_an_honest_one_has_it() -> None:
    signed = {".__nvfl_sig.json": b"{}", "config/.__nvfl_sig.json": b"{}", "code/job/.__nvfl_sig.json": b"{}"}
    check(job(**signed, **{"manifest.json": b"{}", "code/job/table.csv": b""}), {"resource_spec": {}})
    check(job({**config(), "components": [], "get_task_timeout": 60}), {"name": "heart-rate"})
    check(job(config(framework="torch")), {})


def test_nvflare_itself_builds_nothing_else() -> None:
    """A second lock: NVFlare 2.9 refuses a class that a job names and `class_allow_list` does not."""
    assert set(local_config._EXECUTORS) == set(job_form.EXECUTORS)


@pytest.mark.parametrize(
    "name",
    [
        "custom/job/train.py",
        "custom/.__nvfl_sig.json",
        "config/config_fed_client.conf",
        "config/config_fed_client.yml",
        "config/config_fed_server.json",
        "config/privacy.json",
        "train.py",
        "Code/train.py",
        "meta.json",
        "resources.json",
    ],
)
def test_another_file_is_refused_by_name(name: str) -> None:
    with pytest.raises(JobFormError, match=r"it brings '.*'; code belongs into the folder code"):
        check(job(**{name: b""}), {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"format_version": 2, "format_version": 2}',
        json.dumps(config()).replace("0.5", "NaN").encode(),
        json.dumps(config()).replace('"script"', '"script": "x.py", "script"').encode(),
        config() | {"components": [NESTED]},
        config() | {"task_result_filters": [{"tasks": ["*"], "filters": [NESTED]}]},
        config() | {"task_data_filters": [NESTED]},
        config() | {"handlers": [NESTED]},
        config() | {"path": "os.system"},
        config() | {"get_task_timeout": "60"},
        config() | {"get_task_timeout": True},
        config() | {"executors": []},
        config() | {"executors": config()["executors"] * 2},
        config() | {"executors": {"executor": NESTED}},
        with_executor(name="x"),
        with_executor(tasks="train"),
        with_executor(tasks=["{JOB_ID}"]),
        with_executor(executor="x"),
        with_executor(executor={"path": BOX}),
        with_executor(executor=NESTED),
        with_executor(executor={"name": "NPTrainer", "args": {}}),
        with_executor(executor={"path": BOX, "args": ARGUMENTS, "name": "NPTrainer"}),
        with_executor(executor={"path": "fed_site.launcher.JobLauncher", "args": {}}),
        with_executor(executor={"path": "job.train.Trainer", "args": ARGUMENTS}),
        with_executor(executor={"path": [BOX], "args": ARGUMENTS}),
        with_executor(executor={"path": BOX, "args": {}}),
        with_executor(executor={"path": BOX, "args": {**ARGUMENTS, "seconds": 1}}),
        with_executor(executor={"path": BOX, "args": {**ARGUMENTS, "settings": {"code": 2**53 + 1}}}),
        config(framework="jax"),
        config(framework=NESTED),
        config(framework=None),
        config(settings=NESTED),
        config(settings={"deep": [{"class_path": "os.system"}]}),
        config(settings={"deep": {"config_type": "component"}}),
        config(settings={"{JOB_ID}": 1}),
        config(settings={"text": "{JOB_ID}"}),
        config(settings={"text": "a\n"}),
        config(settings={"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}),
        config(settings=[]),
        config(arguments="--rate"),
        config(arguments=["--rate", {}]),
        config(arguments=["--rate {WORKSPACE}"]),
        config(script="job/other.py"),
        config(script="../config/config_fed_client.json"),
        config(script="/etc/passwd"),
        config(script=["job/train.py"]),
    ],
)
def test_another_configuration_is_refused(content: Any) -> None:
    with pytest.raises(JobFormError):
        check(job(content), {})


def test_a_job_without_configuration_is_refused() -> None:
    with pytest.raises(JobFormError, match="it has no config"):
        check({"code/job/train.py": b""}, {})


@pytest.mark.parametrize(
    "meta",
    [
        {"launcher_spec": {"default": {"docker": {"image": "x"}}}},
        {"resource_spec": {"basel": {"docker": {"image": "x", "python_path": "/data"}}}},
        {"launcher_spec": "x"},
    ],
)
def test_another_way_to_be_started_is_refused(meta: dict[str, Any]) -> None:
    with pytest.raises(JobFormError, match="another way to be started"):
        check(job(), meta)


class TestStatistics:
    """They are counted by the platform's code from the hospital's own files, and of agreed columns alone."""

    def arrived(self, *features: Any) -> dict[str, bytes]:
        arguments = {"data_set": "patients", "features": list(features), "indicators": []}
        executor = {"path": job_form.STATISTICS, "args": arguments}
        content = {"format_version": 2, "executors": [{"tasks": ["fed_stats"], "executor": executor}]}
        manifest = manifest_content(data={"heart.csv": ["age", "cp"]})
        return {CLIENT: json.dumps(content).encode(), "manifest.json": json.dumps(manifest).encode()}

    def test_of_columns_of_the_manifest(self) -> None:
        check(self.arrived("age", "age missing", "cp=1"), {})

    @pytest.mark.parametrize(
        "feature", ["sex", "sex=1", "sex missing", "cp =1", "cp=1=1", "age missing missing"]
    )
    def test_any_other_is_named(self, feature: str) -> None:
        with pytest.raises(JobFormError, match="its manifest does not name among the columns"):
            check(self.arrived("age", feature), {})

    @pytest.mark.parametrize("feature", [1, None, ["age"]])
    def test_a_feature_is_a_name(self, feature: Any) -> None:
        with pytest.raises(JobFormError, match="no list of names"):
            check(self.arrived(feature), {})
