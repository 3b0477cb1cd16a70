"""What `up` refuses before the engine is started."""

from types import SimpleNamespace
from typing import Any

import pytest

from automation.stacks import deploy
from automation.ui.outcome import RefusedError


def resource(party: str, *, protect: bool) -> dict[str, Any]:
    mark = "urn:pulumi:prod::fed::pulumi:providers:azure-native::azure-fed-prod-"
    return {
        "urn": f"urn:pulumi:prod::fed::azure-native:storage:StorageAccount::st-fed-prod-{party}-data",
        "provider": f"{mark}{party}::1",
        "protect": protect,
    }


def refuse(*resources: dict[str, Any]) -> None:
    target: Any = SimpleNamespace(name="prod", hospitals=("hungary",))
    deploy.refuse_forgotten(target, resources)


def test_a_hospital_with_protected_data_cannot_be_forgotten() -> None:
    with pytest.raises(RefusedError) as refused:
        refuse(resource("hungary", protect=True), resource("cleveland", protect=True))

    text = str(refused.value)
    assert "cleveland:\n  - st-fed-prod-cleveland-data (azure-native:storage:StorageAccount)" in text
    assert "./fed hospital remove NAME" in text
    assert "Nothing was deployed" in text
    assert "hungary" not in text


def test_what_is_named_or_not_protected_stands_in_nobodys_way() -> None:
    refuse(
        resource("hungary", protect=True),
        resource("centre", protect=True),
        resource("cleveland", protect=False),
    )
    refuse()
