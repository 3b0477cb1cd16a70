"""Virtual networks, subnets, security groups, interfaces, egress, flow logs: Azure's rules one by one."""

from typing import Any, ClassVar

import pytest

from tests.emulator.arm_client import GROUP, OTHER_SUBSCRIPTION, SUBSCRIPTION, Arm, said

NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet"
SUBNET = f"{VNET}/subnets/one"
NSG = f"{NETWORK}/networkSecurityGroups/nsg"
NIC = f"{NETWORK}/networkInterfaces/nic"
ADDRESS = f"{NETWORK}/publicIPAddresses/ip"
GATEWAY = f"{NETWORK}/natGateways/nat"
WATCHERS = f"{SUBSCRIPTION}/resourceGroups/NetworkWatcherRG/providers/Microsoft.Network/networkWatchers"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stlogs"


def network(
    *subnets: dict[str, Any], space: str = "10.0.0.0/24", where: str = "westeurope"
) -> dict[str, Any]:
    return {
        "location": where,
        "properties": {"addressSpace": {"addressPrefixes": [space]}, "subnets": list(subnets)},
    }


def subnet(name: str = "one", prefix: str = "10.0.0.0/26", **properties: Any) -> dict[str, Any]:
    return {"name": name, "properties": {"addressPrefix": prefix, **properties}}


def interface(
    *configurations: dict[str, Any], where: str = "westeurope", **properties: Any
) -> dict[str, Any]:
    return {
        "location": where,
        "properties": {"ipConfigurations": list(configurations or [configuration()]), **properties},
    }


def configuration(
    name: str = "primary", where: str = SUBNET, static: str | None = None, **properties: Any
) -> dict[str, Any]:
    more = {"privateIPAllocationMethod": "Static", "privateIPAddress": static} if static else {}
    return {"name": name, "properties": {"subnet": {"id": where}, **more, **properties}}


def rule(name: str = "allow", **properties: Any) -> dict[str, Any]:
    return {
        "name": name,
        "properties": {
            "priority": 100,
            "direction": "Inbound",
            "access": "Allow",
            "protocol": "Tcp",
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "443",
            **properties,
        },
    }


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    kept = {name: value for name, value in body["properties"].items() if name not in names}
    return body | {"properties": kept}


def group(*rules: dict[str, Any], where: str = "westeurope") -> dict[str, Any]:
    return {"location": where, "properties": {"securityRules": list(rules)}}


def public_address(**more: Any) -> dict[str, Any]:
    return {
        "location": "westeurope",
        "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static"},
    } | more


def address_of(answer: dict[str, Any], number: int = 0) -> str:
    address: str = answer["properties"]["ipConfigurations"][number]["properties"]["privateIPAddress"]
    return address


class TestVirtualNetworks:
    def test_answers_what_azure_computes(self, arm: Arm) -> None:
        made = arm.put(VNET, network(subnet()))
        assert made["id"] == VNET
        assert made["properties"]["provisioningState"] == "Succeeded"
        assert made["properties"]["resourceGuid"]
        inner = made["properties"]["subnets"][0]
        assert inner["id"] == SUBNET
        assert inner["etag"] == made["etag"], "a subnet shows its network's etag"
        assert inner["properties"]["privateEndpointNetworkPolicies"] == "Disabled"

    def test_answer_subnets_in_the_order_in_which_they_were_written(self, arm: Arm) -> None:
        """The provider compares inputs and answers of a refresh by their places in the list."""
        body = network(subnet("z", "10.0.0.0/27"), subnet("a", "10.0.0.32/27"), subnet("m", "10.0.0.64/27"))
        for _ in "12":
            made = arm.put(VNET, body)
            assert [one["name"] for one in made["properties"]["subnets"]] == ["z", "a", "m"]

    def test_keep_their_computed_values_when_written_again(self, arm: Arm) -> None:
        before = arm.put(VNET, network(subnet()))
        after = arm.put(VNET, network(subnet()))
        assert after["properties"]["resourceGuid"] == before["properties"]["resourceGuid"]
        assert after["etag"] != before["etag"]

    @pytest.mark.parametrize(
        ("space", "code"),
        [
            ("10.0.0.5/24", "InvalidCIDRNotation"),
            ("10.0.0/24", "InvalidAddressPrefixFormat"),
            ("10.0.0.1", "InvalidAddressPrefixFormat"),
            ("224.0.0.0/8", "AddressPrefixNotAllowed"),
            ("169.254.0.0/24", "AddressPrefixNotAllowed"),
            ("168.63.128.0/17", "AddressPrefixNotAllowed"),
        ],
    )
    def test_refuse_a_bad_address_space(self, arm: Arm, space: str, code: str) -> None:
        assert arm.refusal(VNET, network(space=space)).startswith(code)

    def test_name_the_mended_prefix_when_host_bits_are_set(self, arm: Arm) -> None:
        assert "should be 10.0.0.0/24" in arm.refusal(VNET, network(space="10.0.0.5/24"))

    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (subnet(prefix="10.0.1.0/26"), "NetcfgInvalidSubnet"),
            (subnet(prefix="10.0.0.0/30"), "NetcfgInvalidSubnet"),
            (subnet(prefix="10.0.0.9/26"), "InvalidCIDRNotation"),
            (subnet(name="two", prefix="10.0.0.0/27"), "NetcfgSubnetRangesOverlap"),
            ({"name": "two", "properties": {}}, "InvalidRequestFormat"),
        ],
    )
    def test_refuse_a_subnet_that_does_not_fit(self, arm: Arm, bad: dict[str, Any], code: str) -> None:
        others = () if bad["name"] == "one" else (subnet(),)
        assert arm.refusal(VNET, network(*others, bad)).startswith(code)
        assert arm("GET", VNET).status == 404, "nothing is left of a refused network"

    def test_a_put_without_a_subnet_deletes_it(self, arm: Arm) -> None:
        arm.put(VNET, network(subnet()))
        arm.put(VNET, network())
        assert arm("GET", SUBNET).status == 404

    def test_a_put_without_a_used_subnet_is_refused(self, arm: Arm) -> None:
        arm.put(VNET, network(subnet()))
        arm.put(NIC, interface())
        refusal = arm.refusal(VNET, network())
        assert refusal.startswith("InUseSubnetCannotBeDeleted: Subnet one is in use by")
        assert f"{NIC}/ipConfigurations/primary" in refusal

    def test_cannot_drop_a_prefix_that_is_in_use(self, arm: Arm) -> None:
        arm.put(VNET, network(subnet()))
        arm.put(NIC, interface())
        assert arm.refusal(VNET, network(subnet(), space="10.1.0.0/24")).startswith(
            "InUsePrefixCannotBeDeleted"
        )

    def test_cannot_move_to_another_region(self, arm: Arm) -> None:
        arm.put(VNET, network())
        assert arm.refusal(VNET, network(where="northeurope")).startswith("InvalidResourceLocation")

    def test_deletion_waits_for_what_is_in_the_subnets(self, arm: Arm) -> None:
        arm.put(VNET, network(subnet()))
        arm.put(NIC, interface())
        assert said(arm("DELETE", VNET)).startswith("InUseSubnetCannotBeDeleted")
        arm.delete(NIC)
        arm.delete(VNET)
        assert arm("GET", SUBNET).status == 404

    def test_the_first_one_brings_the_network_watcher_of_its_region(self, arm: Arm) -> None:
        arm.put(VNET, network())
        watcher = arm.get(f"{WATCHERS}/NetworkWatcher_westeurope")
        assert watcher["location"] == "westeurope"

    def test_error_bodies_are_the_network_providers(self, arm: Arm) -> None:
        answer = arm("PUT", VNET, network(space="nonsense"))
        assert answer.status == 400
        assert answer.body is not None
        assert answer.body["error"]["details"] == []


class TestSubnets:
    @pytest.fixture(autouse=True)
    def _network(self, arm: Arm) -> None:
        arm.put(VNET, network(subnet()))

    def test_can_be_resources_of_their_own(self, arm: Arm) -> None:
        made = arm.put(f"{VNET}/subnets/two", {"properties": {"addressPrefix": "10.0.0.64/26"}})
        whole = arm.get(VNET)
        assert [one["name"] for one in whole["properties"]["subnets"]] == ["one", "two"]
        assert whole["etag"] == made["etag"]

    def test_must_not_overlap_when_written_alone(self, arm: Arm) -> None:
        body = {"properties": {"addressPrefix": "10.0.0.32/27"}}
        assert arm.refusal(f"{VNET}/subnets/two", body).startswith("NetcfgSubnetRangesOverlap")

    def test_need_their_network(self, arm: Arm) -> None:
        path = f"{NETWORK}/virtualNetworks/none/subnets/one"
        assert arm.refusal(path, {"properties": {"addressPrefix": "10.0.0.0/26"}}).startswith(
            "ParentResourceNotFound"
        )

    def test_keep_prefix_and_outbound_access_while_in_use(self, arm: Arm) -> None:
        arm.put(NIC, interface())
        moved = {"properties": {"addressPrefix": "10.0.0.128/26"}}
        closed = {"properties": {"addressPrefix": "10.0.0.0/26", "defaultOutboundAccess": False}}
        assert arm.refusal(SUBNET, moved).startswith("InUseSubnetCannotBeUpdated")
        assert arm.refusal(SUBNET, closed).startswith("InUseSubnetCannotBeUpdated")

    def test_name_their_users_and_cannot_go_before_them(self, arm: Arm) -> None:
        arm.put(NIC, interface())
        assert arm.get(SUBNET)["properties"]["ipConfigurations"] == [
            {"id": f"{NIC}/ipConfigurations/primary"}
        ]
        assert said(arm("DELETE", SUBNET)).startswith("InUseSubnetCannotBeDeleted")

    @pytest.mark.parametrize(
        ("where", "in_subscription"), [("northeurope", SUBSCRIPTION), ("westeurope", OTHER_SUBSCRIPTION)]
    )
    def test_take_a_security_group_of_their_own_region_and_subscription_only(
        self, arm: Arm, where: str, in_subscription: str
    ) -> None:
        arm.put(f"{in_subscription}/resourceGroups/far", {"location": where})
        far = f"{in_subscription}/resourceGroups/far/providers/Microsoft.Network/networkSecurityGroups/nsg"
        arm.put(far, group(where=where))
        body = {"properties": {"addressPrefix": "10.0.0.0/26", "networkSecurityGroup": {"id": far}}}
        assert arm.refusal(SUBNET, body).startswith(
            f"InvalidResourceReference: Resource {far} referenced by resource {SUBNET} was not found."
        )

    def test_take_a_security_group_that_exists_only(self, arm: Arm) -> None:
        body = {"properties": {"addressPrefix": "10.0.0.0/26", "networkSecurityGroup": {"id": NSG}}}
        assert arm.refusal(SUBNET, body).startswith("InvalidResourceReference")

    @pytest.mark.parametrize("bad", ["nsg", NETWORK, f"{NETWORK}/virtualNetworks/vnet"])
    def test_take_a_security_group_by_its_id_only(self, arm: Arm, bad: str) -> None:
        body = {"properties": {"addressPrefix": "10.0.0.0/26", "networkSecurityGroup": {"id": bad}}}
        assert arm.refusal(SUBNET, body).startswith("LinkedInvalidPropertyId")


class TestSecurityGroups:
    def test_end_with_azures_six_rules(self, arm: Arm) -> None:
        made = arm.put(NSG, group(rule()))
        defaults = made["properties"]["defaultSecurityRules"]
        assert [(one["name"], one["properties"]["priority"]) for one in defaults] == [
            ("AllowVnetInBound", 65000),
            ("AllowAzureLoadBalancerInBound", 65001),
            ("DenyAllInBound", 65500),
            ("AllowVnetOutBound", 65000),
            ("AllowInternetOutBound", 65001),
            ("DenyAllOutBound", 65500),
        ]
        assert made["properties"]["securityRules"][0]["id"] == f"{NSG}/securityRules/allow"

    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (rule(priority=99), "SecurityRuleInvalidPriority"),
            (rule(priority=4097), "SecurityRuleInvalidPriority"),
            (rule(sourceAddressPrefix="20.20.20.20/16"), "SecurityRuleInvalidAddressPrefix"),
            (rule(sourceAddressPrefix="NoSuchTag"), "SecurityRuleInvalidAddressPrefix"),
            (rule(destinationPortRange="80,443"), "SecurityRuleInvalidPortRange"),
            (rule(destinationPortRange="70000"), "SecurityRuleInvalidPortRange"),
            (rule(destinationPortRange="90-80"), "SecurityRuleInvalidPortRange"),
            (rule(destinationPortRanges=["80"]), "SecurityRuleParameterConflict"),
            (without(rule(), "sourceAddressPrefix"), "SecurityRuleParameterMissing"),
            (
                without(rule(sourceAddressPrefixes=["Internet"]), "sourceAddressPrefix"),
                "SecurityRuleParameterContainsUnsupportedValue",
            ),
            (
                without(rule(destinationPortRanges=["*"]), "destinationPortRange"),
                "SecurityRuleParameterContainsInvalidPortRanges",
            ),
            (rule(direction="Sideways"), "InvalidRequestFormat"),
            (without(rule(), "access"), "InvalidRequestFormat"),
        ],
    )
    def test_refuse_a_bad_rule(self, arm: Arm, bad: dict[str, Any], code: str) -> None:
        assert arm.refusal(NSG, group(bad)).startswith(code)

    @pytest.mark.parametrize("tag", ["VirtualNetwork", "Storage.WestEurope", "AzureMonitor", "10.0.0.4", "*"])
    def test_accept_tags_addresses_and_ranges(self, arm: Arm, tag: str) -> None:
        arm.put(NSG, group(rule(destinationAddressPrefix=tag)))

    def test_rules_share_no_priority_in_a_direction(self, arm: Arm) -> None:
        arm.put(NSG, group(rule("in"), rule("out", direction="Outbound")))
        assert arm.refusal(NSG, group(rule("a"), rule("b"))) == (
            "SecurityRuleConflict: Security rule b conflicts with rule a. "
            "Rules cannot have the same Priority and Direction."
        )

    def test_a_renamed_rule_conflicts_until_the_old_one_is_gone(self, arm: Arm) -> None:
        arm.put(NSG, group(rule("old")))
        body = {"properties": rule("new")["properties"]}
        assert arm.refusal(f"{NSG}/securityRules/new", body).startswith("SecurityRuleConflict")
        arm.delete(f"{NSG}/securityRules/old")
        arm.put(f"{NSG}/securityRules/new", body)

    def test_name_their_users_and_cannot_go_before_them(self, arm: Arm) -> None:
        arm.put(NSG, group())
        arm.put(VNET, network(subnet(networkSecurityGroup={"id": NSG})))
        arm.put(NIC, interface(networkSecurityGroup={"id": NSG}))
        shown = arm.get(NSG)["properties"]
        assert shown["subnets"] == [{"id": SUBNET}]
        assert shown["networkInterfaces"] == [{"id": NIC}]
        refusal = said(arm("DELETE", NSG))
        assert refusal.startswith("InUseNetworkSecurityGroupCannotBeDeleted")
        assert SUBNET in refusal
        assert NIC in refusal

    def test_protocols_are_answered_in_azures_case(self, arm: Arm) -> None:
        made = arm.put(NSG, group(rule(protocol="TCP")))
        assert made["properties"]["securityRules"][0]["properties"]["protocol"] == "Tcp"


class TestInterfaces:
    @pytest.fixture(autouse=True)
    def _network(self, arm: Arm) -> None:
        arm.put(VNET, network(subnet(prefix="10.0.0.0/29"), subnet("two", "10.0.0.64/26")))

    def test_get_the_first_usable_address_and_keep_it(self, arm: Arm) -> None:
        made = arm.put(NIC, interface())
        assert address_of(made) == "10.0.0.4"
        again = arm.put(NIC, interface() | {"tags": {"a": "b"}})
        assert address_of(again) == "10.0.0.4"

    def test_share_a_subnet_until_it_is_full(self, arm: Arm) -> None:
        addresses = [address_of(arm.put(f"{NIC}{number}", interface())) for number in range(3)]
        assert addresses == ["10.0.0.4", "10.0.0.5", "10.0.0.6"]
        assert arm.refusal(f"{NIC}3", interface()).startswith("SubnetIsFull: Subnet one")
        arm.delete(f"{NIC}1")
        assert address_of(arm.put(f"{NIC}3", interface())) == "10.0.0.5"

    @pytest.mark.parametrize(
        ("address", "code"),
        [
            ("10.0.0.70", "PrivateIPAddressNotInSubnet"),
            ("10.0.0.3", "PrivateIPAddressInReservedRange"),
            ("10.0.0.7", "PrivateIPAddressInReservedRange"),
            ("10.0.0.256", "InvalidIPAddressFormat"),
        ],
    )
    def test_refuse_a_static_address_that_is_not_usable(self, arm: Arm, address: str, code: str) -> None:
        assert arm.refusal(NIC, interface(configuration(static=address))).startswith(code)

    def test_refuse_a_static_address_that_another_has(self, arm: Arm) -> None:
        arm.put(NIC, interface())
        refusal = arm.refusal(f"{NIC}2", interface(configuration(static="10.0.0.4")))
        assert refusal == (
            f"PrivateIPAddressIsAllocated: IP configuration {NIC}2/ipConfigurations/primary is using the "
            "private IP address 10.0.0.4 which is already allocated to resource "
            f"{NIC}/ipConfigurations/primary."
        )

    def test_swap_static_addresses_in_one_write(self, arm: Arm) -> None:
        first = [configuration("a", static="10.0.0.4", primary=True), configuration("b", static="10.0.0.5")]
        arm.put(NIC, interface(*first))
        swapped = [configuration("a", static="10.0.0.5", primary=True), configuration("b", static="10.0.0.4")]
        made = arm.put(NIC, interface(*swapped))
        assert [address_of(made, 0), address_of(made, 1)] == ["10.0.0.5", "10.0.0.4"]

    def test_move_to_another_subnet_of_their_network(self, arm: Arm) -> None:
        arm.put(NIC, interface())
        assert address_of(arm.put(NIC, interface(configuration(where=f"{VNET}/subnets/two")))) == "10.0.0.68"
        arm.delete(SUBNET)

    def test_stay_in_their_network(self, arm: Arm) -> None:
        other = f"{NETWORK}/virtualNetworks/other"
        arm.put(other, network(subnet(prefix="10.1.0.0/26"), space="10.1.0.0/24"))
        arm.put(NIC, interface())
        moved = interface(configuration(where=f"{other}/subnets/one"))
        assert arm.refusal(NIC, moved).startswith("SubnetsNotInSameVnet")

    def test_live_in_the_region_of_their_network(self, arm: Arm) -> None:
        assert arm.refusal(NIC, interface(where="northeurope")).startswith("InvalidResourceReference")

    @pytest.mark.parametrize(
        "bad",
        [
            {"location": "westeurope", "properties": {}},
            interface({"name": "a", "properties": {}}),
            interface(configuration("a", privateIPAllocationMethod="Static")),
            interface(configuration("a"), configuration("b")),
            interface(configuration("a", primary=True), configuration("a")),
        ],
    )
    def test_refuse_incomplete_configurations(self, arm: Arm, bad: dict[str, Any]) -> None:
        assert arm.refusal(NIC, bad).startswith("InvalidRequestFormat")


class TestEgress:
    def test_an_address_is_assigned_once(self, arm: Arm) -> None:
        first = arm.put(ADDRESS, public_address())["properties"]["ipAddress"]
        second = arm.put(f"{ADDRESS}2", public_address())["properties"]["ipAddress"]
        assert first != second
        assert arm.put(ADDRESS, public_address(tags={"a": "b"}))["properties"]["ipAddress"] == first

    def test_basic_addresses_are_gone(self, arm: Arm) -> None:
        assert arm.refusal(ADDRESS, {"location": "westeurope"}).startswith(
            "IPv4BasicSkuPublicIpCountLimitReached"
        )

    def test_standard_addresses_are_static(self, arm: Arm) -> None:
        body = public_address(properties={"publicIPAllocationMethod": "Dynamic"})
        assert arm.refusal(ADDRESS, body).startswith(
            "StandardSkuPublicIPAddressesCannotHaveDynamicAllocation"
        )

    def test_zones_are_fixed(self, arm: Arm) -> None:
        arm.put(ADDRESS, public_address())
        assert arm.refusal(ADDRESS, public_address(zones=["1"])).startswith(
            "ResourceAvailabilityZonesCannotBeModified"
        )

    def test_chain_of_use_is_undone_from_its_end(self, arm: Arm) -> None:
        arm.put(ADDRESS, public_address())
        gateway = {
            "location": "westeurope",
            "sku": {"name": "Standard"},
            "properties": {"publicIpAddresses": [{"id": ADDRESS}]},
        }
        arm.put(GATEWAY, gateway)
        arm.put(VNET, network(subnet(natGateway={"id": GATEWAY})))
        assert arm.get(GATEWAY)["properties"]["subnets"] == [{"id": SUBNET}]
        assert arm.get(ADDRESS)["properties"]["natGateway"] == {"id": GATEWAY}
        assert arm.refusal(f"{GATEWAY}2", gateway).startswith("PublicIPAddressInUse")
        assert said(arm("DELETE", ADDRESS)).startswith("PublicIPAddressCannotBeDeleted")
        assert said(arm("DELETE", GATEWAY)).startswith("InUseNatGatewayCannotBeDeleted")
        for path in (VNET, GATEWAY, ADDRESS):
            arm.delete(path)

    def test_a_gateway_serves_one_network(self, arm: Arm) -> None:
        arm.put(GATEWAY, {"location": "westeurope", "sku": {"name": "Standard"}})
        arm.put(VNET, network(subnet(natGateway={"id": GATEWAY})))
        other = network(subnet(prefix="10.1.0.0/26", natGateway={"id": GATEWAY}), space="10.1.0.0/24")
        assert arm.refusal(f"{VNET}2", other).startswith(
            "NatGatewayCannotBeUsedBySubnetsBelongingToDifferentVirtualNetworks"
        )

    def test_a_gateway_needs_its_sku(self, arm: Arm) -> None:
        assert arm.refusal(GATEWAY, {"location": "westeurope"}).startswith("InvalidRequestFormat")


class TestFlowLogs:
    LOG = f"{WATCHERS}/NetworkWatcher_westeurope/flowLogs/log"

    @pytest.fixture(autouse=True)
    def _targets(self, arm: Arm) -> None:
        arm.put(VNET, network(subnet()))
        arm.put(ACCOUNT, {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})

    def log(self, target: str = VNET, storage: str = ACCOUNT, **more: Any) -> dict[str, Any]:
        return {
            "location": "westeurope",
            "properties": {"targetResourceId": target, "storageId": storage, "enabled": True},
        } | more

    def test_are_shown_on_their_network(self, arm: Arm) -> None:
        made = arm.put(self.LOG, self.log())
        assert made["properties"]["targetResourceGuid"] == arm.get(VNET)["properties"]["resourceGuid"]
        assert arm.get(VNET)["properties"]["flowLogs"] == [{"id": self.LOG}]

    def test_of_security_groups_can_no_longer_be_made(self, arm: Arm) -> None:
        arm.put(NSG, group())
        assert arm.refusal(self.LOG, self.log(target=NSG)).startswith("NsgFlowLogCreationBlocked")

    def test_one_for_a_target(self, arm: Arm) -> None:
        arm.put(self.LOG, self.log())
        assert "has the flow log" in arm.refusal(f"{self.LOG}2", self.log())

    def test_storage_is_in_the_region(self, arm: Arm) -> None:
        far = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stfar"
        arm.put(far, {"location": "northeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
        assert "must be in one region" in arm.refusal(self.LOG, self.log(storage=far))

    def test_an_account_without_keys_needs_an_identity(self, arm: Arm) -> None:
        closed = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        arm.put(ACCOUNT, closed | {"properties": {"allowSharedKeyAccess": False}})
        assert "Give the flow log a user-assigned identity" in arm.refusal(self.LOG, self.log())

    def test_a_second_watcher_of_a_region_is_refused(self, arm: Arm) -> None:
        path = f"{NETWORK}/networkWatchers/mine"
        assert arm.refusal(path, {"location": "westeurope"}).startswith("NetworkWatcherCountLimitReached")


class TestChildrenThatAPutDoesNotName:
    """Test_Networking_VirtualNetworkPeering_CreatedThenVNetUpdated_20240301_PeeringStillExists and its
    20201101 form (azure-service-operator, 2024-11-08); subnets: Azure Networking blog, version 2023-09-01.
    """

    SPACE: ClassVar[dict[str, Any]] = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}}
    SUBNETS: ClassVar[list[dict[str, Any]]] = [
        {"name": "one", "properties": {"addressPrefix": "10.0.0.0/26"}},
        {"name": "two", "properties": {"addressPrefix": "10.0.0.64/26"}},
    ]

    @pytest.fixture(autouse=True)
    def _network(self, arm: Arm) -> None:
        arm.put(VNET, {"location": "westeurope", "properties": self.SPACE | {"subnets": self.SUBNETS}})
        far = {"addressSpace": {"addressPrefixes": ["10.9.0.0/24"]}}
        arm.put(f"{VNET}far", {"location": "westeurope", "properties": far})
        remote = {"remoteVirtualNetwork": {"id": f"{VNET}far"}}
        arm.put(f"{VNET}/virtualNetworkPeerings/p", {"properties": remote})

    def put(self, arm: Arm, version: str, **lists: list[Any]) -> dict[str, Any]:
        body = {"location": "westeurope", "properties": self.SPACE | lists}
        answer = arm("PUT", VNET, body, **{"api-version": version})
        assert answer.status == 200, said(answer)
        found: dict[str, Any] = arm.get(VNET)["properties"]
        return {name: [one["name"] for one in found[name]] for name in ("subnets", "virtualNetworkPeerings")}

    @pytest.mark.parametrize(
        ("version", "subnets"), [("2020-11-01", []), ("2023-06-01", []), ("2023-09-01", ["one", "two"])]
    )
    def test_stay_by_the_rule_of_the_api_version(self, arm: Arm, version: str, subnets: list[str]) -> None:
        assert self.put(arm, version) == {"subnets": subnets, "virtualNetworkPeerings": ["p"]}

    def test_go_when_the_list_lacks_them(self, arm: Arm) -> None:
        left = self.put(arm, "2024-05-01", subnets=self.SUBNETS[:1])
        assert left == {"subnets": ["one"], "virtualNetworkPeerings": ["p"]}
        left = self.put(arm, "2024-05-01", subnets=[], virtualNetworkPeerings=[])
        assert left == {"subnets": [], "virtualNetworkPeerings": []}
