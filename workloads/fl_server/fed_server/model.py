"""The model: named arrays, in files that hold numbers and nothing else."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnable, ModelLearnableKey, make_model_learnable
from nvflare.app_common.abstract.model_persistor import ModelPersistor

from fed_server.paths import JOBS, job_folder
from fed_server.plan import CHECKPOINT, START, Plan

Arrays = Mapping[str, NDArray[Any]]


def load(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file, without pickle. Raises ValueError or OSError."""
    with np.load(file, allow_pickle=False) as opened:
        return {name: opened[name] for name in opened.files}


def save(file: Path, arrays: Arrays) -> None:
    """Replace a .npz file in one step. Unlike numpy.savez it takes every name."""
    new = file.with_name(file.name + ".new")
    with zipfile.ZipFile(new, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    new.replace(file)


class ModelArrays(ModelPersistor):  # type: ignore[misc]  # nvflare has no types
    """Starts with zeros, with the file of the job's folder, or where the job that is resumed had ended; saves
    after each round to jobs/<id>/checkpoint.npz.

    NVFlare 2.9's NPModelPersistor knows one array and a start that is written into the configuration.
    """

    def load_model(self, fl_ctx: FLContext) -> ModelLearnable:
        """See ModelPersistor."""
        plan = Plan.of(fl_ctx)
        start = job_folder(fl_ctx.get_job_id()) / START
        if plan.resumed_from:
            arrays = load(JOBS / plan.resumed_from / CHECKPOINT)
        elif start.is_file():
            arrays = load(start)
        else:
            arrays = {name: np.zeros(shape) for name, shape in plan.arrays.items()}
        return make_model_learnable(weights=arrays, meta_props={})

    def save_model(self, learnable: ModelLearnable, fl_ctx: FLContext) -> None:
        """See ModelPersistor."""
        save(job_folder(fl_ctx.get_job_id()) / CHECKPOINT, learnable[ModelLearnableKey.WEIGHTS])
