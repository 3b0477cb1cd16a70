"""A model that MLflow can load: `mlflow.pyfunc.load_model("models:/<job>@champion")`.

The folder has the form of MLflow's python_function flavour (https://mlflow.org/docs/latest/ml/model/#storage-format):
`MLmodel` with the signature, the code that predicts, and what it needs. Written here because mlflow-skinny,
which the server has, cannot: its writer wants pandas.
"""

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import yaml

_CODE = "code"
_EXAMPLE = "input_example.json"


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """How a job's model is used by who has it.

    `module` is a module of the job's own package with `_load_pyfunc(folder)`; what that returns has
    `predict(table)` for a pandas DataFrame with the columns `inputs` (numbers; NaN where unknown). It may
    import numpy and the modules `uses` of the same package, nothing else. `output` names what it predicts;
    `example` is one made-up row.
    """

    module: str
    uses: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    example: Mapping[str, float]


def write(folder: Path, predictor: Predictor, package: Path, files: list[Path], run_id: str) -> None:
    """Make the model's folder from the job's `package` (a folder of modules) and the model's own `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)
    code = folder / _CODE / package.name
    code.mkdir(parents=True, exist_ok=True)
    (code / "__init__.py").touch()  # NVFlare does not bring it along
    for module in (predictor.module, *predictor.uses):
        shutil.copyfile(package / f"{module}.py", code / f"{module}.py")
    (folder / "requirements.txt").write_text(f"mlflow=={_mlflow()}\nnumpy=={version('numpy')}\n")
    (folder / "python_env.yaml").write_text(
        f"python: {python_version()}\nbuild_dependencies: []\ndependencies: [-r requirements.txt]\n"
    )
    example = {
        "columns": list(predictor.inputs),
        "data": [[predictor.example[name] for name in predictor.inputs]],
    }
    (folder / _EXAMPLE).write_text(json.dumps(example) + "\n")
    description = _description(predictor, package.name, run_id)
    (folder / "MLmodel").write_text(yaml.safe_dump(description, sort_keys=False))


def _description(predictor: Predictor, package: str, run_id: str) -> dict[str, Any]:
    inputs = [{"name": name, "type": "double", "required": True} for name in predictor.inputs]
    return {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "loader_module": f"{package}.{predictor.module}",
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
            "outputs": json.dumps([{"name": predictor.output, "type": "double", "required": True}]),
            "params": None,
        },
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _mlflow() -> str:
    return version("mlflow-skinny")
