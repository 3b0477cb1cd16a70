"""How scripts of each framework have a model's parameters; numpy's arrays are what crosses the channel.

As NVFlare's own converters (nvflare.app_opt.pt.params_converter, nvflare.app_opt.tf.params_converter, 2.9): a
script that was written for them runs as it is.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TORCH, TENSORFLOW = "torch", "tensorflow"
FRAMEWORKS = (TORCH, TENSORFLOW)
"""Without one a script has arrays of numpy's."""
BETWEEN = "/"
"""TensorFlow has a list of arrays for each layer: `layer/0`, `layer/1`, ..."""


def given(framework: str | None, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """What a script gets: copies that it may change."""
    copies = {name: array.copy() for name, array in arrays.items()}
    if framework == TORCH:
        import torch  # noqa: PLC0415 - in the box of such a script alone

        return {name: torch.from_numpy(array) for name, array in copies.items()}
    return _layers(copies) if framework == TENSORFLOW else copies


def taken(framework: str | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a script sends, as arrays; one that is None is left out."""
    whole = _flat(params) if framework == TENSORFLOW else dict(params)
    if absent := [str(name) for name, value in whole.items() if value is None]:
        print(f"left out, no numbers: {', '.join(absent)}", flush=True)
    return {name: _array(value) for name, value in whole.items() if value is not None}


def _array(value: Any) -> Any:
    return np.asarray(value.detach().cpu()) if hasattr(value, "detach") else value


def _layers(arrays: Mapping[str, NDArray[Any]]) -> dict[str, list[NDArray[Any]]]:
    found: dict[str, list[NDArray[Any]]] = {}
    for name, array in arrays.items():
        found.setdefault(name.rpartition(BETWEEN)[0] or name, []).append(array)
    return found


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{layer}{BETWEEN}{number}": array
        for layer, arrays in params.items()
        for number, array in enumerate(arrays)
    }
