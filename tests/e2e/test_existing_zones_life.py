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


@pytest.fixture
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A stack that has its own zones, without machines."""
    made = Clone(tmp_path_factory.mktemp("own-zones"))
    made.edit(keep_hospitals("cleveland"))
    made.fed("up")
    yield made
    made.destroy()


def put(clone: Clone, arm_id: str, version: str, properties: dict[str, Any]) -> None:
    """Do as the organisation's DNS team does."""
    where = "westeurope" if version == GROUPS else "global"
    body = {"location": where, "properties": properties}
    answer = ask(clone.emulator(), "PUT", arm_id, api_version=version, body=body)
    assert answer.status_code in {200, 201, 202}, answer.text


def link(clone: Clone) -> list[str]:
    """Link the organisation's zones to the parties' networks; return the links."""
    outputs = clone.outputs()
    networks = {"centre": outputs["centre"]["vnet"], "cleveland": outputs["hospitals"]["cleveland"]["vnet"]}
    links = {
        f"{zone}/virtualNetworkLinks/to-{party}": vnet
        for party, vnet in networks.items()
        for zone in ZONES.values()
    }
    for name, vnet in links.items():
        put(clone, name, DNS, {"virtualNetwork": {"id": vnet}, "registrationEnabled": False})
    return list(links)


@pytest.mark.long
def test_vms_wait_for_the_zones_in_the_hubs_subscription_and_then_train_ready(clone: Clone) -> None:
    put(clone, ZONES["blob"].partition("/providers/")[0], GROUPS, {})
    for zone in ZONES.values():
        put(clone, zone, DNS, {})
    waiting = clone.fed("up", seconds=3 * PATIENCE).stderr
    assert "they name nothing yet for centre, cleveland, whose VMs wait" in " ".join(waiting.split())

    link(clone)
    ready = clone.fed("up", seconds=3 * PATIENCE).stderr
    assert "every hospital is registered" in ready
    assert "Nothing is missing" in clone.fed("preflight", "--on", "emulator").stdout
    said = clone.fed("verify", seconds=3 * PATIENCE).stdout
    assert "exactly what its settings intend" in " ".join(said.split())


@pytest.mark.long
def test_a_deployed_stack_changes_to_the_organisations_zones_and_back(deployed: Clone) -> None:
    put(deployed, ZONES["blob"].partition("/providers/")[0], GROUPS, {})
    for zone in ZONES.values():
        put(deployed, zone, DNS, {})
    deployed.edit(lambda content: content["config"]["fed:network"].update(dns="existing", zones=dict(ZONES)))
    deployed.fed("up", "--yes")
    links = link(deployed)
    deployed.fed("verify", "--no-inside", "--no-packets")

    deployed.edit(lambda content: content["config"]["fed:network"].pop("zones"))
    deployed.edit(lambda content: content["config"]["fed:network"].update(dns="own"))
    refused = deployed.fed("up", "--yes", code=3).stderr
    assert "linked to multiple zones with overlapping namespaces" in refused
    for each in links:
        assert ask(deployed.emulator(), "DELETE", each, api_version=DNS).status_code in {200, 202, 204}
    deployed.fed("up", "--yes")
    assert "unchanged in" in deployed.fed("up").stderr
    deployed.fed("verify", "--no-inside", "--no-packets")
