"""The arrays with which a model starts: zeros of the declared shapes, or those of a file of the job's folder.

A file is read without pickle, and only what it says of itself is believed that its length allows.
"""

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from container_server.centre.job_folder import JobFolder, JobRefusedError

LARGEST = 200 * 1024 * 1024
"""Bytes of a model's arrays."""
MOST_ARRAYS = 500


@final
@dataclass(frozen=True, kw_only=True)
class Start:
    """`content` is a .npz file with the arrays, None for zeros."""

    shapes: Mapping[str, list[int]]
    content: bytes | None = None


def start_of(job: JobFolder) -> Start | None:
    """None for a job without a model. Raises JobRefusedError."""
    model = job.content["model"]
    if "file" in model:
        start = _from_file(job, model["file"])
    elif model:
        start = Start(shapes=dict(model["arrays"]))
    else:
        return None
    _check(job, start)
    return start


def _check(job: JobFolder, start: Start) -> None:
    if sum(8 * math.prod(shape) for shape in start.shapes.values()) > LARGEST:
        raise JobRefusedError(f"{job.name}: its model is larger than {LARGEST} bytes")
    features = job.content["model"].get("features")
    if features is not None and list(start.shapes.values()) != [[len(features)]]:
        raise JobRefusedError(
            f"{job.name}: features names {len(features)} numbers, the model is {dict(start.shapes)}: it has"
            " to be one array of so many"
        )
    if "kind" in job.content["model"] and len(start.shapes) != 1:
        raise JobRefusedError(f"{job.name}: a model with a kind is one array")


def _from_file(job: JobFolder, name: str) -> Start:
    import numpy as np  # noqa: PLC0415 - 25 MB of memory that a centre without such jobs does not need

    content = job.files[name]
    try:
        arrays = _arrays(name, content)
        if not 0 < len(arrays) <= MOST_ARRAYS:
            raise ValueError(f"it holds {len(arrays)} arrays, expected 1 to {MOST_ARRAYS}")
        for key, array in arrays.items():
            if array.dtype.kind != "f" or not np.isfinite(array).all():
                raise ValueError(f"{key} does not hold finite numbers of a float type")
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise JobRefusedError(f"{job.name}: {name} cannot be taken as a model: {str(error)[:200]}") from error
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return Start(shapes={key: list(array.shape) for key, array in arrays.items()}, content=written.getvalue())


def _arrays(name: str, content: bytes) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - as above

    if name.endswith(".safetensors"):
        from safetensors.numpy import load  # noqa: PLC0415 - as above

        return dict(load(content))
    if not name.endswith(".npz"):
        raise ValueError("expected a .npz or .safetensors file")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
            raise ValueError(f"it holds more than {LARGEST} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as opened:
        return {key: opened[key] for key in opened.files}
