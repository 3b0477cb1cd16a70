"""A model that MLflow can load: `mlflow.pyfunc.load_model("models:/<job>@champion")`.

The folder has the form of MLflow's python_function flavour (https://mlflow.org/docs/latest/ml/model/#storage-format):
`MLmodel` with the signature, the code that predicts, and what it needs. Written here because mlflow-skinny,
which the server has, cannot: its writer wants pandas.
"""

import json
import shutil
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import yaml

_CODE = "code"
_EXAMPLE = "input_example.json"


Predictor = Mapping[str, Any]
"""How a job's model is used by who has it, as its job.yaml says: `path` is a module of a package of the job's
with `_load_pyfunc(folder)`; what that returns has `predict(table)` for a pandas DataFrame with the columns
`inputs` (numbers; NaN where unknown). It may import numpy and `files` of the job's, nothing else. `output`
names what it predicts; `example` is one made-up row. Nothing of it is imported here.
"""


def write(folder: Path, predictor: Predictor, code: Path, files: list[Path], run_id: str) -> None:
    """Make the model's folder from the job's `code` that predicts and the model's own `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)
    for name in (predictor["path"], *predictor.get("files", ())):
        target = folder / _CODE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(code / name, target)
        (target.parent / "__init__.py").touch()
    (folder / "requirements.txt").write_text(f"mlflow=={_mlflow()}\nnumpy=={version('numpy')}\n")
    (folder / "python_env.yaml").write_text(
        f"python: {python_version()}\nbuild_dependencies: []\ndependencies: [-r requirements.txt]\n"
    )
    inputs = list(predictor["inputs"])
    example = {"columns": inputs, "data": [[float(predictor["example"][name]) for name in inputs]]}
    (folder / _EXAMPLE).write_text(json.dumps(example) + "\n")
    description = _description(predictor, run_id)
    (folder / "MLmodel").write_text(yaml.safe_dump(description, sort_keys=False))


def _description(predictor: Predictor, run_id: str) -> dict[str, Any]:
    inputs = [{"name": name, "type": "double", "required": True} for name in predictor["inputs"]]
    return {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "loader_module": predictor["path"].removesuffix(".py").replace("/", "."),
                "code": _CODE,
                "data": ".",
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": python_version(),
            }
        },
        "mlflow_version": _mlflow(),
        "model_uuid": uuid.uuid4().hex,
        "run_id": run_id,
        "saved_input_example_info": {
            "artifact_path": _EXAMPLE,
            "type": "dataframe",
            "pandas_orient": "split",
        },
        "signature": {
            "inputs": json.dumps(inputs),
            "outputs": json.dumps([{"name": predictor["output"], "type": "double", "required": True}]),
            "params": None,
        },
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _mlflow() -> str:
    return version("mlflow-skinny")
