"""How scripts of each framework have a model's parameters."""

import sys
import types
from typing import Any

import numpy as np
import pytest
from fed_box.frameworks import TENSORFLOW, TORCH, given, taken


class Tensor:
    """As much of PyTorch's as is used."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> Any:
        return self.array


def test_numpys_arrays_are_copies_that_a_script_may_change() -> None:
    sent = {"w": np.ones(2)}
    got = given(None, sent)
    got["w"] += 1
    assert sent["w"].tolist() == [1, 1]
    assert taken(None, got)["w"].tolist() == [2, 2]


def test_a_script_of_pytorchs_gets_tensors_and_may_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As hello-pt of NVFlare's examples: `load_state_dict(model.params)`, then `state_dict()` back."""
    torch = types.ModuleType("torch")
    torch.from_numpy = Tensor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    got = given(TORCH, {"fc.weight": np.ones((2, 3), "f4")})
    assert isinstance(got["fc.weight"], Tensor)
    assert taken(TORCH, got)["fc.weight"].shape == (2, 3)


def test_a_script_of_tensorflows_has_a_list_of_arrays_for_each_layer() -> None:
    """As hello-cyclic: `get_layer(name).set_weights(params[name])`; a layer without weights is not there."""
    kernel, bias = np.ones((4, 2)), np.zeros(2)
    got = given(TENSORFLOW, {"dense/0": kernel, "dense/1": bias})
    assert [array.shape for array in got["dense"]] == [(4, 2), (2,)]
    back = taken(TENSORFLOW, {"flatten": [], **got})
    assert {name: array.shape for name, array in back.items()} == {"dense/0": (4, 2), "dense/1": (2,)}


def test_what_is_none_is_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As sklearn-kmeans sends its counts in the first round."""
    assert list(taken(None, {"center": np.ones(2), "count": None})) == ["center"]
    assert "left out, no numbers: count" in capsys.readouterr().out
