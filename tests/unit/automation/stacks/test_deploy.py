"""What `up` refuses before the engine is started."""

from types import SimpleNamespace
from typing import Any

import pytest

from automation.stacks import deploy
from automation.stacks.arm import Answer
from automation.ui.outcome import FedError, RefusedError
from federation.settings import load
from tests.unit.support.program_graph import stack_config


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


def network(party: str, prefix: str) -> dict[str, Any]:
    return {
        "urn": f"urn:pulumi:dev::fed::azure-native:network:VirtualNetwork::vnet-fed-dev-{party}",
        "provider": f"urn:pulumi:dev::fed::pulumi:providers:azure-native::azure-fed-dev-{party}::1",
        "inputs": {"addressSpace": {"addressPrefixes": [prefix]}},
    }


def move(*networks: dict[str, Any]) -> None:
    settings = load("dev", stack_config("dev"))
    target: Any = SimpleNamespace(name="dev", hospitals=tuple(settings.hospitals), settings=settings)
    deploy.refuse_moved(target, networks)


@pytest.mark.parametrize(
    ("party", "deployed", "wanted"),
    [
        ("hungary", "10.10.9.0/27", "10.10.2.0/27"),
        ("hungary", "10.10.2.0/28", "10.10.2.0/27"),
        ("centre", "10.11.0.0/24", "10.10.0.0/24"),
    ],
)
def test_a_deployed_range_is_for_life(party: str, deployed: str, wanted: str) -> None:
    with pytest.raises(RefusedError) as refused:
        move(network(party, deployed), network("cleveland", "10.10.1.0/27"))

    text = str(refused.value)
    assert f"{party}: {wanted} instead of {deployed}\n" in text
    assert "./fed hospital remove NAME" in text
    assert "Nothing was deployed" in text
    assert "cleveland" not in text


def test_the_same_range_and_a_network_that_goes_stand_in_nobodys_way() -> None:
    move(network("hungary", "10.10.2.0/27"), network("switzerland", "10.10.4.0/27"))
    move()


@pytest.mark.parametrize(
    ("stack", "links", "refused"), [("dev", [{}], True), ("dev", [], False), ("prod", [{}], False)]
)
def test_the_subnet_of_a_gateway_stays_while_the_gateway_is_on_it(
    stack: str, links: list[dict[str, Any]], refused: bool
) -> None:
    """prod has a dashboard, so that its subnet stays anyway; dev has none."""
    delegation = {"serviceName": "Microsoft.PowerPlatform/vnetaccesslinks"}
    deployed = network("centre", "10.10.0.0/24") | {"id": "/vnet"}
    deployed["inputs"]["subnets"] = [{"name": "server"}, {"name": "gateway", "delegations": [delegation]}]
    asked: list[str] = []

    def get(path: str, _: str) -> Any:
        asked.append(path)
        return Answer(status=200, body={"properties": {"serviceAssociationLinks": links}})

    settings = load(stack, stack_config(stack))
    target: Any = SimpleNamespace(name=stack, settings=settings, arm=lambda: SimpleNamespace(get=get))
    if refused:
        with pytest.raises(RefusedError, match="gateway is still on it"):
            deploy.refuse_gateways_subnet(target, [deployed])
    else:
        deploy.refuse_gateways_subnet(target, [deployed])
    assert asked == (["/vnet/subnets/gateway"] if stack == "dev" else [])


def test_a_subnet_that_cannot_be_looked_at_is_not_taken_away() -> None:
    deployed = network("centre", "10.10.0.0/24") | {"id": "/vnet"}
    delegation = {"serviceName": "Microsoft.PowerPlatform/vnetaccesslinks"}
    deployed["inputs"]["subnets"] = [{"name": "gateway", "delegations": [delegation]}]
    forbidden = Answer(status=403, body={"error": {"code": "AuthorizationFailed", "message": "no"}})
    settings = load("dev", stack_config("dev"))
    arm = SimpleNamespace(get=lambda path, version: forbidden)
    target: Any = SimpleNamespace(name="dev", settings=settings, arm=lambda: arm)
    with pytest.raises(FedError, match="cannot be seen: AuthorizationFailed"):
        deploy.refuse_gateways_subnet(target, [deployed])
