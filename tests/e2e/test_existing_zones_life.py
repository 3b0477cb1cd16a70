"""An organisation's own private DNS zones name what the parties reach, and machines find it by that."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.own_clone import PATIENCE, Clone, keep_hospitals
from tests.resource_manager import ask
from tests.unit.federation.test_settings import ZONES

DNS, GROUPS = "2024-06-01", "2024-03-01"


@pytest.fixture
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    made = Clone(tmp_path_factory.mktemp("landing-zone"), machines=True)
    made.edit(keep_hospitals("cleveland"))
    made.edit(lambda content: content["config"]["fed:network"].update(dns="existing", zones=dict(ZONES)))
    made.shell("true")
    yield made
    made.destroy()


def put(clone: Clone, arm_id: str, version: str, properties: dict[str, Any]) -> None:
    """Do as the organisation's DNS team does."""
    where = "westeurope" if version == GROUPS else "global"
    body = {"location": where, "properties": properties}
    answer = ask(clone.emulator(), "PUT", arm_id, api_version=version, body=body)
    assert answer.status_code in {200, 201, 202}, answer.text


@pytest.mark.long
def test_vms_wait_for_the_zones_in_the_hubs_subscription_and_then_train_ready(clone: Clone) -> None:
    put(clone, ZONES["blob"].partition("/providers/")[0], GROUPS, {})
    for zone in ZONES.values():
        put(clone, zone, DNS, {})
    waiting = clone.fed("up", seconds=3 * PATIENCE).stderr
    assert "they name nothing yet for centre, cleveland, whose VMs wait" in " ".join(waiting.split())

    outputs = clone.outputs()
    for party, vnet in (("centre", outputs["centre"]), ("cleveland", outputs["hospitals"]["cleveland"])):
        for zone in ZONES.values():
            put(
                clone,
                f"{zone}/virtualNetworkLinks/to-{party}",
                DNS,
                {"virtualNetwork": {"id": vnet["vnet"]}, "registrationEnabled": False},
            )
    ready = clone.fed("up", seconds=3 * PATIENCE).stderr
    assert "every hospital is registered" in ready
    assert "Nothing is missing" in clone.fed("preflight", "--on", "emulator").stdout
    said = clone.fed("verify", seconds=3 * PATIENCE).stdout
    assert "exactly what its settings intend" in " ".join(said.split())
