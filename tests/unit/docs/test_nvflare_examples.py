"""docs/examples/nvflare: NVFlare's own scripts, unmodified, in folders that are jobs of this platform."""

import hashlib
import importlib.util

import pytest
from container_server.centre.composed import Asked, compose
from container_server.centre.job_folder import JobFolder

from clone import paths

EXAMPLES = paths.REPOSITORY / "docs/examples/nvflare"
BLOBS = {
    "hello-numpy/client.py": "093ff4ad7c274f7fc399cccb051654d78ecd0367",  # pragma: allowlist secret
    "hello-numpy-cross-val/client.py": "ad89c7f02e55349ca0fc292677c97d19ef3ef9f0",  # pragma: allowlist secret
    "hello-lr/client.py": "1896add56a23dc0c9366dd11428a0f749172d0bc",  # pragma: allowlist secret
    "hello-pt/client.py": "4ed925b44707ce4badce74b4c70f859901c8e462",  # pragma: allowlist secret
    "hello-pt/model.py": "26d29e3ad0fb172b83a024ad972a5f879451af2f",  # pragma: allowlist secret
    "hello-cyclic/client.py": "7e5543685d14c45f365e5a2416e149c6c227af13",  # pragma: allowlist secret
    "hello-cyclic/model.py": "2bac5ab2b6cb8d42fc7d35dcdc88f8edde7a92a4",  # pragma: allowlist secret
    "sklearn-linear/client.py": "4e839d2f29d441690e5ac783efecc36452a5e422",  # pragma: allowlist secret
    "sklearn-kmeans/client.py": "b2af57b50770d9193ce44b4a370be263dc439467",  # pragma: allowlist secret
    "kaplan-meier/client.py": "1dfbb7ddc35ec774663ae29856bbc1b6a999ef8a",  # pragma: allowlist secret
}
"""Script -> its git blob at the commit of NVFlare that the README of the folder names."""


@pytest.mark.parametrize("script", BLOBS)
def test_the_training_scripts_are_nvflares_own(script: str) -> None:
    content = (EXAMPLES / script).read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    assert blob == BLOBS[script]


def test_no_example_is_left_out() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/job.yaml")} == {
        name.partition("/")[0] for name in BLOBS
    }


@pytest.mark.parametrize(
    "name",
    [
        "hello-numpy",
        "hello-numpy-cross-val",
        "hello-lr",
        "sklearn-linear",
        "sklearn-kmeans",
        "kaplan-meier",
    ],
)
def test_each_is_a_job_that_the_centre_takes(name: str) -> None:
    job = JobFolder.read(EXAMPLES / name)
    boxes = [f"{job.content['box']}@sha256:{'0' * 64}"]
    asked = Asked(rounds=job.rounds, parameters=job.parse({}), inputs={}, boxes=boxes)
    assert compose(job, asked, ["cleveland", "hungary"]).nvflare


def test_the_curve_is_kaplan_and_meiers() -> None:
    """Ten patients: two events of ten, one seen last, then one event of seven."""
    spec = importlib.util.spec_from_file_location("curve", EXAMPLES / "kaplan-meier/curve.py")
    assert spec and spec.loader
    curve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(curve)
    assert curve.survival([2, 1, 0], [1, 0, 6]) == pytest.approx([0.8, 0.8 * 6 / 7, 0.8 * 6 / 7])
