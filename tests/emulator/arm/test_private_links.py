"""Private endpoints, zone groups, private DNS: what they make on others, and what becomes of it."""

from typing import Any

import pytest

from emulator.arm.tokens import Caller
from emulator.datacentre.inventory import Inventory
from emulator.datacentre.names import PUBLIC_FRONT_DOOR, directory
from tests.emulator.arm.test_feed import changes
from tests.emulator.arm_client import GROUP, OTHER_SUBSCRIPTION, SUBSCRIPTION, Arm, said

NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet"
SUBNET = f"{VNET}/subnets/one"
ENDPOINT = f"{NETWORK}/privateEndpoints/pe"
ZONE_GROUP = f"{ENDPOINT}/privateDnsZoneGroups/default"
BLOB_ZONE = f"{NETWORK}/privateDnsZones/privatelink.blob.core.windows.net"
REGISTRY_ZONE = f"{NETWORK}/privateDnsZones/privatelink.azurecr.io"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stone"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/crone1"
STORAGE = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}


def network(space: str = "10.0.0.0/24") -> dict[str, Any]:
    prefix = space.replace("/24", "/26")
    return {
        "location": "westeurope",
        "properties": {
            "addressSpace": {"addressPrefixes": [space]},
            "subnets": [{"name": "one", "properties": {"addressPrefix": prefix}}],
        },
    }


def endpoint(
    target: str = ACCOUNT, *groups: str, manual: bool = False, subnet: str = SUBNET, **properties: Any
) -> dict[str, Any]:
    connection = {
        "name": "link",
        "properties": {"privateLinkServiceId": target, "groupIds": list(groups or ("blob",))},
    }
    name = "manualPrivateLinkServiceConnections" if manual else "privateLinkServiceConnections"
    return {
        "location": "westeurope",
        "properties": {"subnet": {"id": subnet}, name: [connection], **properties},
    }


def static(group: str, member: str, address: str) -> dict[str, Any]:
    return {
        "name": member,
        "properties": {"groupId": group, "memberName": member, "privateIPAddress": address},
    }


def zone_group(*zones: str) -> dict[str, Any]:
    configs = [
        {"name": f"z{index}", "properties": {"privateDnsZoneId": zone}} for index, zone in enumerate(zones)
    ]
    return {"properties": {"privateDnsZoneConfigs": configs}}


def link(target: str = VNET, **properties: Any) -> dict[str, Any]:
    return {"location": "global", "properties": {"virtualNetwork": {"id": target}, **properties}}


@pytest.fixture(autouse=True)
def _parts(arm: Arm) -> None:
    arm.put(VNET, network())
    arm.put(ACCOUNT, STORAGE)
    arm.put(BLOB_ZONE, {"location": "global"})


def registry(arm: Arm, sku: str = "Premium") -> None:
    arm.put(REGISTRY, {"location": "westeurope", "sku": {"name": sku}})


class TestEndpoints:
    def test_make_an_interface_with_an_address(self, arm: Arm) -> None:
        made = arm.put(ENDPOINT, endpoint())
        interface = arm.get(made["properties"]["networkInterfaces"][0]["id"])
        assert interface["name"].startswith("pe.nic.")
        assert interface["properties"]["privateEndpoint"] == {"id": ENDPOINT}
        only = interface["properties"]["ipConfigurations"][0]["properties"]
        assert only["privateIPAddress"] == "10.0.0.4"
        assert only["privateLinkConnectionProperties"]["fqdns"] == ["stone.blob.core.windows.net"]
        assert arm.get(SUBNET)["properties"]["privateEndpoints"] == [{"id": ENDPOINT}]

    def test_are_approved_by_themselves_and_shown_on_the_service(self, arm: Arm) -> None:
        made = arm.put(ENDPOINT, endpoint())
        state = made["properties"]["privateLinkServiceConnections"][0]["properties"][
            "privateLinkServiceConnectionState"
        ]
        assert state == {"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}
        shown = arm.get(ACCOUNT)["properties"]["privateEndpointConnections"]
        assert [one["properties"]["privateEndpoint"]["id"] for one in shown] == [ENDPOINT]
        assert made["properties"]["customDnsConfigs"] == [
            {"fqdn": "stone.blob.core.windows.net", "ipAddresses": ["10.0.0.4"]}
        ]

    def test_keep_interface_and_address_when_written_again(self, arm: Arm) -> None:
        before = arm.put(ENDPOINT, endpoint())["properties"]
        after = arm.put(ENDPOINT, endpoint() | {"tags": {"a": "b"}})["properties"]
        assert after["networkInterfaces"] == before["networkInterfaces"]
        assert after["customDnsConfigs"] == before["customDnsConfigs"]
        assert len(arm.get(ACCOUNT)["properties"]["privateEndpointConnections"]) == 1

    def test_take_static_addresses_and_a_name_for_their_interface(self, arm: Arm) -> None:
        body = endpoint(
            ipConfigurations=[static("blob", "blob", "10.0.0.9")], customNetworkInterfaceName="nic-pe"
        )
        made = arm.put(ENDPOINT, body)
        assert made["properties"]["networkInterfaces"] == [{"id": f"{NETWORK}/networkInterfaces/nic-pe"}]
        assert made["properties"]["customDnsConfigs"][0]["ipAddresses"] == ["10.0.0.9"]

    def test_move_to_another_static_address(self, arm: Arm) -> None:
        arm.put(ENDPOINT, endpoint(ipConfigurations=[static("blob", "blob", "10.0.0.9")]))
        arm.put(ZONE_GROUP, zone_group(BLOB_ZONE))
        arm.put(ENDPOINT, endpoint(ipConfigurations=[static("blob", "blob", "10.0.0.8")]))
        record = arm.get(f"{BLOB_ZONE}/A/stone")
        assert record["properties"]["aRecords"] == [{"ipv4Address": "10.0.0.8"}]

    def test_of_a_registry_have_two_addresses(self, arm: Arm) -> None:
        registry(arm)
        made = arm.put(ENDPOINT, endpoint(REGISTRY, "registry"))
        assert sorted(one["fqdn"] for one in made["properties"]["customDnsConfigs"]) == [
            "crone1.azurecr.io",
            "crone1.westeurope.data.azurecr.io",
        ]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (endpoint(ACCOUNT, "blob", "file"), "OnlyOneGroupIdPermitted"),
            (endpoint(ACCOUNT, "blobs"), "InvalidValuesForRequestParameters"),
            (endpoint(ACCOUNT, "vault"), "InvalidValuesForRequestParameters"),
            (endpoint(f"{ACCOUNT}x"), "InvalidResourceReference"),
            (endpoint(subnet=f"{VNET}/subnets/none"), "InvalidResourceReference"),
            (endpoint() | {"location": "northeurope"}, "InvalidResourceReference"),
            (endpoint(privateLinkServiceConnections=[]), "InvalidRequestFormat"),
            (
                endpoint(ipConfigurations=[static("blob", "registry", "10.0.0.9")]),
                "InvalidPrivateEndpointIpConfigurations",
            ),
        ],
    )
    def test_refuse_what_does_not_fit(self, arm: Arm, body: dict[str, Any], code: str) -> None:
        assert arm.refusal(ENDPOINT, body).startswith(code)

    def test_static_addresses_name_every_member(self, arm: Arm) -> None:
        registry(arm)
        body = endpoint(REGISTRY, "registry", ipConfigurations=[static("registry", "registry", "10.0.0.9")])
        assert "registry_data_westeurope" in arm.refusal(ENDPOINT, body)

    def test_need_a_premium_registry(self, arm: Arm) -> None:
        registry(arm, "Basic")
        assert "need the Premium sku" in arm.refusal(ENDPOINT, endpoint(REGISTRY, "registry"))

    def test_keep_their_subnet_and_their_service(self, arm: Arm) -> None:
        arm.put(f"{VNET}/subnets/two", {"properties": {"addressPrefix": "10.0.0.64/26"}})
        arm.put(f"{ACCOUNT}2", STORAGE)
        arm.put(ENDPOINT, endpoint())
        moved = endpoint(subnet=f"{VNET}/subnets/two")
        assert arm.refusal(ENDPOINT, moved).startswith("PrivateEndpointSubnetCannotBeChanged")
        assert arm.refusal(ENDPOINT, endpoint(f"{ACCOUNT}2")).startswith(
            "PrivateLinkServiceIdCannotBeChanged"
        )

    def test_hold_their_subnet_until_they_go_with_all_they_made(self, arm: Arm) -> None:
        interface = arm.put(ENDPOINT, endpoint())["properties"]["networkInterfaces"][0]["id"]
        assert said(arm("DELETE", SUBNET)).startswith("InUseSubnetCannotBeDeleted")
        assert said(arm("DELETE", interface)).startswith("NicInUseWithPrivateEndpoint")
        arm.delete(ENDPOINT)
        assert arm("GET", interface).status == 404
        assert arm.get(ACCOUNT)["properties"]["privateEndpointConnections"] == []
        arm.delete(SUBNET)

    def test_stay_disconnected_when_their_service_goes(self, arm: Arm) -> None:
        arm.put(ENDPOINT, endpoint())
        arm.delete(ACCOUNT)
        left = arm.get(ENDPOINT)["properties"]
        connection = left["privateLinkServiceConnections"][0]["properties"]
        assert connection["privateLinkServiceConnectionState"]["status"] == "Disconnected"
        assert left["customDnsConfigs"] == []

    def test_by_hand_wait_for_the_owners_approval(self, arm: Arm) -> None:
        waiting = arm.put(ENDPOINT, endpoint(manual=True))["properties"]
        assert waiting["customDnsConfigs"] == []
        connection = arm.get(ACCOUNT)["properties"]["privateEndpointConnections"][0]
        assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Pending"
        approval = {
            "properties": {"privateLinkServiceConnectionState": {"status": "Approved", "description": "ok"}}
        }
        arm.put(connection["id"], approval)
        assert arm.get(ENDPOINT)["properties"]["customDnsConfigs"]

    def test_of_a_service_without_rights_are_refused(self, arm: Arm) -> None:
        far = f"{OTHER_SUBSCRIPTION}/resourceGroups/far"
        arm.put(far, {"location": "westeurope"})
        account = f"{far}/providers/Microsoft.Storage/storageAccounts/stfar"
        arm.put(account, STORAGE)
        hospital = arm.as_caller(Caller(subscriptions=frozenset({SUBSCRIPTION.rsplit("/", 1)[-1]})))
        refusal = said(hospital("PUT", ENDPOINT, endpoint(account)))
        assert refusal.startswith("LinkedAuthorizationFailed")
        assert "privateEndpointConnectionsApproval/action" in refusal
        arm.put(ENDPOINT, endpoint(account))


class TestZoneGroups:
    @pytest.fixture(autouse=True)
    def _endpoint(self, arm: Arm) -> None:
        arm.put(ENDPOINT, endpoint())

    def test_write_records_and_remove_them(self, arm: Arm) -> None:
        made = arm.put(ZONE_GROUP, zone_group(BLOB_ZONE))
        record = arm.get(f"{BLOB_ZONE}/A/stone")["properties"]
        assert record["aRecords"] == [{"ipv4Address": "10.0.0.4"}]
        assert record["ttl"] == 10
        assert record["metadata"]["creator"].startswith("created by private endpoint pe with resource guid ")
        config = made["properties"]["privateDnsZoneConfigs"][0]["properties"]
        assert config["recordSets"][0]["fqdn"] == "stone.privatelink.blob.core.windows.net"
        assert arm.get(BLOB_ZONE)["properties"]["numberOfRecordSets"] == 2
        assert arm.get(ENDPOINT)["properties"]["customDnsConfigs"] == []
        arm.delete(ZONE_GROUP)
        assert arm("GET", f"{BLOB_ZONE}/A/stone").status == 404

    def test_an_organisations_zone_in_another_subscription_names_it_for_the_networks_that_it_links(
        self, arm: Arm
    ) -> None:
        """docs/adr/0017: on Azure as here, whoever is linked asks it, wherever the zone is."""
        group = GROUP.replace(SUBSCRIPTION, OTHER_SUBSCRIPTION)
        zone = BLOB_ZONE.replace(SUBSCRIPTION, OTHER_SUBSCRIPTION)
        arm.put(group, {"location": "westeurope"})
        arm.put(zone, {"location": "global"})
        arm.put(f"{ENDPOINT}/privateDnsZoneGroups/deployedByPolicy", zone_group(zone))

        def resolved() -> tuple[str, ...]:
            inventory = Inventory()
            inventory.apply(changes(arm))
            return directory(inventory).resolve(VNET.lower(), "stone.blob.core.windows.net").addresses

        assert resolved() == (PUBLIC_FRONT_DOOR,)
        arm.put(f"{zone}/virtualNetworkLinks/to-vnet", link())
        assert resolved() == ("10.0.0.4",)
        arm.delete(f"{ENDPOINT}/privateDnsZoneGroups/deployedByPolicy")
        assert resolved() == ()

    def test_records_go_with_the_endpoint(self, arm: Arm) -> None:
        arm.put(ZONE_GROUP, zone_group(BLOB_ZONE))
        arm.delete(ENDPOINT)
        assert arm("GET", f"{BLOB_ZONE}/A/stone").status == 404

    def test_of_a_registry_write_both_names(self, arm: Arm) -> None:
        registry(arm)
        arm.put(REGISTRY_ZONE, {"location": "global"})
        arm.put(f"{ENDPOINT}-cr", endpoint(REGISTRY, "registry"))
        arm.put(f"{ENDPOINT}-cr/privateDnsZoneGroups/default", zone_group(REGISTRY_ZONE))
        for name in ("crone1", "crone1.westeurope.data"):
            assert arm.get(f"{REGISTRY_ZONE}/A/{name}")["properties"]["ttl"] == 10

    def test_an_endpoint_has_one(self, arm: Arm) -> None:
        arm.put(ZONE_GROUP, zone_group(BLOB_ZONE))
        other = f"{ENDPOINT}/privateDnsZoneGroups/other"
        assert "can have only one" in arm.refusal(other, zone_group(BLOB_ZONE))

    def test_the_second_endpoint_of_a_service_takes_the_record(self, arm: Arm) -> None:
        arm.put(ZONE_GROUP, zone_group(BLOB_ZONE))
        arm.put(f"{ENDPOINT}2", endpoint())
        arm.put(f"{ENDPOINT}2/privateDnsZoneGroups/default", zone_group(BLOB_ZONE))
        record = arm.get(f"{BLOB_ZONE}/A/stone")["properties"]
        assert record["aRecords"] == [{"ipv4Address": "10.0.0.5"}]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (zone_group(f"{BLOB_ZONE}.none"), "InvalidResourceReference"),
            (zone_group(), "InvalidRequestFormat"),
            (zone_group(*[BLOB_ZONE] * 6), "InvalidRequestFormat"),
            (
                {"properties": {"privateDnsZoneConfigs": [{"properties": {"privateDnsZoneId": BLOB_ZONE}}]}},
                "InvalidRequestFormat",
            ),
        ],
    )
    def test_refuse_what_does_not_fit(self, arm: Arm, body: dict[str, Any], code: str) -> None:
        assert arm.refusal(ZONE_GROUP, body).startswith(code)


class TestPrivateDns:
    LINK = f"{BLOB_ZONE}/virtualNetworkLinks/to-vnet"
    RECORD = f"{BLOB_ZONE}/A/hub"

    def test_a_zone_begins_with_its_authority_record(self, arm: Arm) -> None:
        assert arm.get(BLOB_ZONE)["properties"]["numberOfRecordSets"] == 1
        records = arm.get(f"{BLOB_ZONE}/ALL")["value"]
        assert [one["type"] for one in records] == ["Microsoft.Network/privateDnsZones/SOA"]

    def test_a_zone_is_global(self, arm: Arm) -> None:
        path = f"{NETWORK}/privateDnsZones/example.org"
        assert arm.refusal(path, {"location": "westeurope"}).startswith("LocationNotAvailableForResourceType")

    @pytest.mark.parametrize("name", ["internal", "a..b", "-.org" + "x" * 64])
    def test_a_zone_has_at_least_two_labels(self, arm: Arm, name: str) -> None:
        assert arm.refusal(f"{NETWORK}/privateDnsZones/{name}", {"location": "global"}).startswith(
            "BadRequest"
        )

    def test_records_answer_their_full_name(self, arm: Arm) -> None:
        body = {"properties": {"ttl": 300, "aRecords": [{"ipv4Address": "10.0.0.4"}]}}
        made = arm.put(self.RECORD, body)
        assert made["properties"]["fqdn"] == "hub.privatelink.blob.core.windows.net."
        assert "provisioningState" not in made["properties"]

    @pytest.mark.parametrize(
        "properties",
        [
            {"ttl": -1, "aRecords": [{"ipv4Address": "10.0.0.4"}]},
            {"aRecords": [{"ipv4Address": "10.0.0.4"}]},
            {"ttl": 300, "aRecords": [{"ipv4Address": "10.0.0.400"}]},
        ],
    )
    def test_records_need_a_time_and_true_addresses(self, arm: Arm, properties: dict[str, Any]) -> None:
        assert arm("PUT", self.RECORD, {"properties": properties}).status == 400

    def test_links_hold_their_zone(self, arm: Arm) -> None:
        made = arm.put(self.LINK, link())
        assert made["properties"]["virtualNetworkLinkState"] == "Completed"
        assert said(arm("DELETE", BLOB_ZONE)) == (
            "CannotDeleteResource: Cannot delete resource while nested resources exist. Some existing nested "
            f"resource IDs include: '{self.LINK.partition('/providers/')[2]}'. Please delete all nested "
            "resources before deleting this resource."
        )
        arm.delete(self.LINK)
        arm.delete(BLOB_ZONE)

    def test_links_go_with_their_network(self, arm: Arm) -> None:
        arm.put(self.LINK, link())
        arm.delete(VNET)
        assert arm("GET", self.LINK).status == 404

    def test_a_network_is_linked_to_one_zone_of_a_name(self, arm: Arm) -> None:
        arm.put(self.LINK, link())
        other = f"{GROUP.replace('/rg', '/other')}/providers/Microsoft.Network/privateDnsZones"
        twin = f"{other}/privatelink.blob.core.windows.net"
        arm.put(twin, {"location": "global"})
        assert arm.refusal(f"{twin}/virtualNetworkLinks/again", link()).startswith(
            "BadRequest: A virtual network cannot be linked to multiple zones with overlapping namespaces."
        )

    def test_a_link_keeps_its_network(self, arm: Arm) -> None:
        arm.put(f"{VNET}2", network("10.1.0.0/24"))
        arm.put(self.LINK, link())
        assert arm.refusal(self.LINK, link(f"{VNET}2")).startswith("BadRequest")

    @pytest.mark.parametrize("policy", ["NxDomainRedirect", "Default"])
    def test_only_privatelink_zones_have_a_resolution_policy(self, arm: Arm, policy: str) -> None:
        """https://github.com/Azure/Azure-Landing-Zones/issues/4088 (2026-03): a module sent "Default"."""
        arm.put(self.LINK, link(resolutionPolicy=policy))
        zone = f"{NETWORK}/privateDnsZones/federation.internal"
        arm.put(zone, {"location": "global"})
        refused = arm("PUT", f"{zone}/virtualNetworkLinks/l", link(resolutionPolicy=policy))
        assert (refused.status, said(refused).partition(":")[0]) == (400, "BadRequest")
        assert "ResolutionPolicy" in said(refused)

    def test_the_resolution_policy_has_a_default_where_there_is_one(self, arm: Arm) -> None:
        zone = f"{NETWORK}/privateDnsZones/federation.internal"
        arm.put(zone, {"location": "global"})
        assert arm.put(self.LINK, link())["properties"]["resolutionPolicy"] == "Default"
        assert "resolutionPolicy" not in arm.put(f"{zone}/virtualNetworkLinks/l", link())["properties"]
