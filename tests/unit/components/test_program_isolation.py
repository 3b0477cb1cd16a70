"""Nobody gets in, hospitals cannot see each other, and each resource is in its party's subscription."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.unit.support.program_graph import Graph, Recorded, stack_config

PEERING = "azure-native:network:VirtualNetworkPeering"
NETWORK = "azure-native:network:VirtualNetwork"
NSG = "azure-native:network:NetworkSecurityGroup"
ROLE = "azure-native:authorization:RoleAssignment"
CONTAINER = "azure-native:storage:BlobContainer"
ACCOUNT = "azure-native:storage:StorageAccount"
MACHINE = "azure-native:compute:VirtualMachine"

READER, CONTRIBUTOR = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"


def party(resource: Recorded) -> str:
    """`azure-fed-dev-va-long-beach` -> `va-long-beach`."""
    return resource.provider.split("-", 3)[3]


def subscription(text: str) -> str:
    return text.split("/")[2]


def texts(value: Any) -> Iterator[str]:
    """Every piece of text in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def custom_data(machine: Recorded) -> str:
    return base64.b64decode(machine.inputs["osProfile"]["customData"]).decode()


def parties_of(graph: Graph) -> set[str]:
    return {party(resource) for resource in graph.of(NETWORK)}


def readers(graph: Graph) -> dict[str, str]:
    """Party -> the group that its stack file names as readers of its dashboard."""
    config = stack_config(graph.outputs["environment"])
    entries = {"centre": config["fed:centre"], **config["fed:hospitals"]}
    return {name: entry["dashboard"]["readers"] for name, entry in entries.items() if "dashboard" in entry}


class TestEachResourceIsInItsPartysSubscription:
    def test_there_is_one_provider_a_party_with_its_subscription(self, graph: Graph) -> None:
        stack = graph.outputs["environment"]
        config = stack_config(stack)
        found = {
            provider.name: provider.inputs["subscriptionId"]
            for provider in graph.of("pulumi:providers:azure-native")
        }
        assert found == {
            f"azure-fed-{stack}-centre": config["fed:centre"]["subscriptionId"],
            **{
                f"azure-fed-{stack}-{name}": hospital["subscriptionId"]
                for name, hospital in config["fed:hospitals"].items()
            },
        }
        tenants = {p.inputs["tenantId"] for p in graph.of("pulumi:providers:azure-native")}
        assert tenants == {config["fed:tenantId"]}

    def test_nothing_uses_a_default_provider(self, graph: Graph) -> None:
        stack = graph.outputs["environment"]
        for resource in graph.resources.values():
            if resource.custom and not resource.typ.startswith("pulumi:providers:"):
                assert re.match(rf"(azure|random|docker)-fed-{stack}", resource.provider), resource.name

    def test_its_group_and_tags_are_its_partys(self, graph: Graph) -> None:
        stack = graph.outputs["environment"]
        for resource in graph.azure():
            group = resource.inputs.get("resourceGroupName", "")
            if group != "NetworkWatcherRG":
                expected = f"rg-fed-{stack}-{party(resource)}"
                assert not group or re.fullmatch(rf"{expected}(-compute|-data)?", group), resource.name
            assert resource.inputs.get("tags", {}).get("party", party(resource)) == party(resource)

    def test_an_extension_resource_is_in_the_subscription_of_what_it_extends(self, graph: Graph) -> None:
        own = {p.name: p.inputs["subscriptionId"] for p in graph.of("pulumi:providers:azure-native")}
        extensions = [
            (resource, resource.inputs.get("scope") or resource.inputs.get("resourceUri"))
            for resource in graph.azure()
            if "scope" in resource.inputs or "resourceUri" in resource.inputs
        ]
        assert len(extensions) > 30
        for resource, target in extensions:
            assert subscription(str(target)) == own[resource.provider], resource.name

    def test_a_resource_refers_to_its_own_subscription_only(self, graph: Graph) -> None:
        """Only the two halves of a peering reach over; grants name a hospital's identity by its GUID."""
        own = {p.name: p.inputs["subscriptionId"] for p in graph.of("pulumi:providers:azure-native")}
        for resource in graph.azure():
            if resource.typ == PEERING:
                continue
            for text in texts(resource.inputs):
                if text.startswith("/subscriptions/"):
                    assert subscription(text) == own[resource.provider], (resource.name, text)


class TestHospitalsAreNotConnected:
    def test_every_peering_has_the_centre_at_one_end(self, graph: Graph) -> None:
        networks = {network.id: party(network) for network in graph.of(NETWORK)}
        ends = [
            (party(half), networks[half.inputs["remoteVirtualNetwork"]["id"]]) for half in graph.of(PEERING)
        ]
        hospitals = parties_of(graph) - {"centre"}
        expected = [(hospital, "centre") for hospital in hospitals]
        assert sorted(ends) == sorted(expected + [(centre, hospital) for hospital, centre in expected])

    def test_no_peering_forwards_or_transits(self, graph: Graph) -> None:
        for half in graph.of(PEERING):
            assert half.inputs["allowForwardedTraffic"] is False
            assert half.inputs["allowGatewayTransit"] is False
            assert half.inputs["useRemoteGateways"] is False

    def test_no_interface_forwards(self, graph: Graph) -> None:
        for interface in graph.of("azure-native:network:NetworkInterface"):
            assert interface.inputs["enableIPForwarding"] is False

    def test_no_hospital_knows_of_another(self, graph: Graph) -> None:
        """Not by name, address, subscription or record: what does not know of them cannot call them."""
        config = stack_config(graph.outputs["environment"])["fed:hospitals"]
        for name in config:
            foreign = [
                word
                for other, theirs in config.items()
                if other != name
                for word in (other, theirs["subscriptionId"], theirs["addressSpace"].rsplit(".", 1)[0] + ".")
            ]
            for resource in graph.azure():
                if party(resource) == name:
                    told = [
                        *texts(resource.inputs),
                        *([custom_data(resource)] if resource.typ == MACHINE else []),
                    ]
                    assert not [word for word in foreign for text in told if word in text], resource.name

    def test_a_zone_is_linked_to_the_network_of_its_own_party(self, graph: Graph) -> None:
        networks = {network.id: party(network) for network in graph.of(NETWORK)}
        links = graph.of("azure-native:privatedns:VirtualNetworkLink")
        assert len(links) == 3 * len(networks)
        for link in links:
            assert networks[link.inputs["virtualNetwork"]["id"]] == party(link)
            assert link.inputs["registrationEnabled"] is False

    def test_only_links_of_privatelink_zones_have_a_resolution_policy(self, graph: Graph) -> None:
        """Azure refuses it elsewhere: https://github.com/Azure/Azure-Landing-Zones/issues/4088"""
        for link in graph.of("azure-native:privatedns:VirtualNetworkLink"):
            privatelink = link.inputs["privateZoneName"].startswith("privatelink.")
            assert ("resolutionPolicy" in link.inputs) is privatelink, link.name


class TestNothingIsReachableFromOutside:
    def test_a_public_address_belongs_to_a_nat_gateway(self, graph: Graph) -> None:
        addresses = {address.id for address in graph.of("azure-native:network:PublicIPAddress")}
        used = [
            reference["id"]
            for gateway in graph.of("azure-native:network:NatGateway")
            for reference in gateway.inputs["publicIpAddresses"]
        ]
        assert sorted(used) == sorted(addresses)
        for resource in graph.azure():
            if resource.typ != "azure-native:network:NatGateway":
                assert not addresses & set(texts(resource.inputs)), resource.name

    def test_a_machine_has_private_addresses_only(self, graph: Graph) -> None:
        for interface in graph.of("azure-native:network:NetworkInterface"):
            (configuration,) = interface.inputs["ipConfigurations"]
            assert "publicIPAddress" not in configuration
            assert configuration["privateIPAllocationMethod"] == "Static"

    def test_nothing_is_inbound_but_from_known_addresses(self, graph: Graph) -> None:
        for group in graph.of(NSG):
            inbound = [rule for rule in group.inputs["securityRules"] if rule["direction"] == "Inbound"]
            *allowed, last = sorted(inbound, key=lambda rule: float(rule["priority"]))
            assert (last["access"], last["protocol"]) == ("Deny", "*")
            assert last["sourceAddressPrefix"] == last["destinationAddressPrefix"] == "*"
            assert last["destinationPortRange"] == "*"
            for rule in allowed:
                for side in ("source", "destination"):
                    prefixes = rule.get(f"{side}AddressPrefixes") or [rule[f"{side}AddressPrefix"]]
                    known = r"10(\.\d+){3}/32"
                    if (party(group), side, rule["name"]) == ("centre", "source", "allow-inbound-dashboards"):
                        known = r"10(\.\d+){2}\.128/27"  # Azure gives out the addresses of the gateway
                    assert all(re.fullmatch(known, prefix) for prefix in prefixes), rule

    def test_nothing_enters_a_hospital(self, graph: Graph) -> None:
        """The one rule lets the machine through to the hospital's own endpoint, in the same subnet."""
        for group in graph.of(NSG):
            if party(group) == "centre":
                continue
            (subnet,) = [
                subnet
                for network in graph.of(NETWORK)
                for subnet in network.inputs["subnets"]
                if subnet["networkSecurityGroup"]["id"] == group.id
            ]
            first_three = subnet["addressPrefix"].rsplit(".", 1)[0]
            (rule,) = [
                rule
                for rule in group.inputs["securityRules"]
                if rule["direction"] == "Inbound" and rule["access"] == "Allow"
            ]
            assert rule["sourceAddressPrefix"] == f"{first_three}.4/32"
            assert rule["destinationAddressPrefix"] == f"{first_three}.5/32"
            assert rule["destinationPortRange"] == "443"

    def test_every_subnet_has_a_group_and_no_way_out_of_its_own(self, graph: Graph) -> None:
        for network in graph.of(NETWORK):
            for subnet in network.inputs["subnets"]:
                assert subnet["networkSecurityGroup"]["id"]
                assert subnet["defaultOutboundAccess"] is False
                assert subnet["privateEndpointNetworkPolicies"] == "Enabled"

    def test_a_subnet_is_given_to_power_bi_where_a_dashboard_is_published(self, graph: Graph) -> None:
        delegated = [
            (party(network), subnet["addressPrefix"], subnet["delegations"][0]["serviceName"])
            for network in graph.of(NETWORK)
            for subnet in network.inputs["subnets"]
            if subnet.get("delegations")
        ]
        space = stack_config(graph.outputs["environment"])["fed:centre"]["addressSpace"]
        gateway = space.replace(".0/24", ".128/27")
        wanted = [("centre", gateway, "Microsoft.PowerPlatform/vnetaccesslinks")] if readers(graph) else []
        assert delegated == wanted
        groups = {group.id: group for group in graph.of(NSG)}
        for network in graph.of(NETWORK):
            for subnet in network.inputs["subnets"]:
                if subnet.get("delegations"):
                    rules = groups[subnet["networkSecurityGroup"]["id"]].inputs["securityRules"]
                    opened = [rule for rule in rules if rule["access"] == "Allow"]
                    assert [(rule["direction"], rule["destinationPortRange"]) for rule in opened] == [
                        ("Outbound", "443")
                    ]
                    assert opened[0]["destinationAddressPrefix"] == gateway.replace(".128/27", ".68/32")

    def test_subnets_and_rules_are_written_in_one_place(self, graph: Graph) -> None:
        """Inline and separate ones fight: each update would remove what the other made (azure-native#611)."""
        assert not graph.of("azure-native:network:Subnet", "azure-native:network:SecurityRule")

    def test_storage_is_closed(self, graph: Graph) -> None:
        for account in graph.of(ACCOUNT):
            assert account.inputs["publicNetworkAccess"] == "Disabled"
            assert account.inputs["networkRuleSet"] == {
                "defaultAction": "Deny",
                "bypass": "AzureServices",
                "ipRules": [],
                "virtualNetworkRules": [],
            }
            assert account.inputs["allowBlobPublicAccess"] is False
        for container in graph.of(CONTAINER):
            assert container.inputs["publicAccess"] == "None"

    def test_an_account_with_data_is_reached_by_its_owner_through_one_endpoint(self, graph: Graph) -> None:
        endpoints = [
            (connection["privateLinkServiceId"], party(endpoint))
            for endpoint in graph.of("azure-native:network:PrivateEndpoint")
            for connection in endpoint.inputs["privateLinkServiceConnections"]
        ]
        data = [
            (account.id, party(account)) for account in graph.of(ACCOUNT) if account.name.endswith("-data")
        ]
        assert len(data) == len(parties_of(graph))
        for one in data:
            assert endpoints.count(one) == 1
        assert len(endpoints) == len(data) + 1  # and the registry's

    def test_the_registry_takes_a_push_from_outside_in_dev_alone(self, graph: Graph) -> None:
        (registry,) = graph.of("azure-native:containerregistry:Registry")
        is_dev = graph.outputs["environment"] == "dev"
        assert registry.inputs["publicNetworkAccess"] == ("Enabled" if is_dev else "Disabled")
        assert registry.inputs["policies"]["exportPolicy"]["status"] == ("enabled" if is_dev else "disabled")


class TestNoSharedKeyAndNoPassword:
    def test_storage_and_registry(self, graph: Graph) -> None:
        for account in graph.of(ACCOUNT):
            assert account.inputs["allowSharedKeyAccess"] is False
            assert account.inputs["isLocalUserEnabled"] is False
        for registry in graph.of("azure-native:containerregistry:Registry"):
            assert registry.inputs["adminUserEnabled"] is False
            assert registry.inputs["anonymousPullEnabled"] is False
        for workspace in graph.of("azure-native:operationalinsights:Workspace"):
            assert workspace.inputs["features"]["disableLocalAuth"] is True

    def test_machines(self, graph: Graph) -> None:
        for machine in graph.of(MACHINE):
            profile = machine.inputs["osProfile"]
            assert "adminPassword" not in profile
            assert profile["linuxConfiguration"]["disablePasswordAuthentication"] is True

    def test_flow_logs_write_with_an_identity(self, prod: Graph) -> None:
        logs = prod.of("azure-native:network:FlowLog")
        assert len(logs) == len(parties_of(prod))
        assert all(log.inputs["identity"]["userAssignedIdentities"] for log in logs)


class TestNoSecretInAnyInput:
    SECRETS = re.compile(
        r"PRIVATE KEY-|AccountKey=|SharedAccessSignature|[?&]sig=|\bpassword\s*[:=]\s*\S|client_secret|"
        r"DefaultEndpointsProtocol=|xox[bp]-|eyJ[A-Za-z0-9_-]{20,}\.",
        re.IGNORECASE,
    )

    def test_as_text_or_encoded(self, graph: Graph) -> None:
        for resource in graph.resources.values():
            told = list(texts(resource.inputs))
            if resource.typ == MACHINE:
                told.append(custom_data(resource))
            for text in told:
                assert not self.SECRETS.search(text), (resource.name, self.SECRETS.search(text))

    def test_this_test_would_notice_one(self) -> None:
        planted = "-----BEGIN RSA PRIVATE " + "KEY-----"
        for secret in (planted, "AccountKey=abc", "https://x?sv=1&sig=abc", "password: hunter2"):
            assert self.SECRETS.search(secret)

    def test_outputs_hold_ids_and_addresses_alone(self, graph: Graph) -> None:
        for text in texts(graph.outputs):
            assert not self.SECRETS.search(text)


class TestAccessIsByContainer:
    def roles(self, graph: Graph, *definitions: str) -> list[Recorded]:
        return [
            role
            for role in graph.of(ROLE)
            if role.inputs["roleDefinitionId"].rsplit("/", 1)[1] in definitions
        ]

    def test_a_data_role_is_on_one_container(self, graph: Graph) -> None:
        """The one exception is the account of the flow logs, in which Azure makes the container itself."""
        containers = {container.id for container in graph.of(CONTAINER)}
        log_accounts = {account.id for account in graph.of(ACCOUNT) if account.name.endswith("-logs")}
        for role in self.roles(graph, READER, CONTRIBUTOR):
            assert role.inputs["scope"] in (log_accounts if "flowlogs" in role.name else containers), (
                role.name
            )

    def test_who_may_do_what(self, graph: Graph) -> None:
        identities = {self.principal(graph, name): name for name in parties_of(graph)}
        identities |= {group: f"{name}'s readers" for name, group in readers(graph).items()}
        containers = {container.id: container for container in graph.of(CONTAINER)}
        found = {
            (
                identities[role.inputs["principalId"]],
                party(containers[role.inputs["scope"]]),
                containers[role.inputs["scope"]].inputs["containerName"],
                role.inputs["roleDefinitionId"].rsplit("/", 1)[1],
            )
            for role in self.roles(graph, READER, CONTRIBUTOR)
            if "flowlogs" not in role.name
        }
        hospitals = parties_of(graph) - {"centre"}
        assert found == {
            *(("centre", "centre", name, CONTRIBUTOR) for name in ("server", "inbox", "results")),
            *(("centre", "centre", f"client-{name}", CONTRIBUTOR) for name in hospitals),
            *((name, "centre", f"client-{name}", CONTRIBUTOR) for name in hospitals),
            *((name, name, "data", READER) for name in hospitals),
            *((name, name, "policy", READER) for name in hospitals),
            *((name, name, "record", CONTRIBUTOR) for name in hospitals),
            *((name, name, "scores", CONTRIBUTOR) for name in hospitals),
            *((name, name, "backup", CONTRIBUTOR) for name in ("centre", *hospitals)),
            *(
                (f"{name}'s readers", "centre", "server" if name == "centre" else f"client-{name}", READER)
                for name in readers(graph)
            ),
        }

    def test_people_read_the_tables_of_a_dashboard_and_nothing_else(self, graph: Graph) -> None:
        groups = [role for role in graph.of(ROLE) if role.inputs["principalType"] == "Group"]
        assert {role.inputs["principalId"] for role in groups} == set(readers(graph).values())
        for role in groups:
            assert role.inputs["conditionVersion"] == "2.0"
            condition = role.inputs["condition"]
            assert "blobs/read'" in condition
            assert "blobs:path] StringLike 'curated/*'" in condition
            assert "SubOperation" not in condition  # which would let names be listed

    def principal(self, graph: Graph, name: str) -> str:
        """What the mocks answered as the principal of a VM's identity, read from the pull role it got."""
        stack = graph.outputs["environment"]
        pull = graph.named(f"role-fed-{stack}-centre-registry-{name}-acrpull")
        principal: str = pull.inputs["principalId"]
        return principal

    def test_everyone_pulls_and_nobody_pushes(self, graph: Graph) -> None:
        (registry,) = graph.of("azure-native:containerregistry:Registry")
        on_registry = [role for role in graph.of(ROLE) if role.inputs["scope"] == registry.id]
        assert {role.inputs["roleDefinitionId"].rsplit("/", 1)[1] for role in on_registry} == {ACR_PULL}
        assert len({role.inputs["principalId"] for role in on_registry}) == len(parties_of(graph))

    def test_nobody_is_owner_or_contributor(self, graph: Graph) -> None:
        general = {
            "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
            "b24988ac-6180-42a0-ab88-20f7382dd24c",
            "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        }
        assert not self.roles(graph, *general)

    def test_names_of_assignments_are_known_at_plan_time(self, graph: Graph) -> None:
        """They come from no other resource: an unknown name would make every preview show a replacement."""
        for role in graph.of(ROLE):
            assert not role.properties_from.get("roleAssignmentName"), role.name
            known = {"ServicePrincipal"} | ({"Group"} if readers(graph) else set())
            assert role.inputs["principalType"] in known

    def test_names_of_assignments_are_unique_in_the_tenant(self, graph: Graph) -> None:
        names = [role.inputs["roleAssignmentName"] for role in graph.of(ROLE)]
        assert len(set(names)) == len(names)


class TestWhatAMachineBootsFrom:
    def test_is_cloud_config_for_its_own_party(self, graph: Graph) -> None:
        for machine in graph.of(MACHINE):
            text = custom_data(machine)
            assert text.startswith("#cloud-config\n")
            assert yaml.safe_load(text)["write_files"]

    def test_the_centre_is_told_its_members_where_they_can_change(self, graph: Graph) -> None:
        (centre,) = [machine for machine in graph.of(MACHINE) if party(machine) == "centre"]
        members = yaml.safe_load(base64.b64decode(centre.inputs["userData"]))["hospitals"]
        assert members == sorted(parties_of(graph) - {"centre"})
        assert not [name for name in members if name in custom_data(centre)]

    def test_a_hospital_is_told_its_images_there_and_nothing_else(self, graph: Graph) -> None:
        hospitals = [machine for machine in graph.of(MACHINE) if party(machine) != "centre"]
        told = [json.loads(base64.b64decode(machine.inputs["userData"])) for machine in hospitals]
        assert told
        assert all(set(one) == {"images", "nvflare"} for one in told)
        assert all({"container-server", "fl-client"} <= set(one["images"]) for one in told)


@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_default_providers_are_disabled(stack: str) -> None:
    from tests.unit.support.program_graph import ROOT  # noqa: PLC0415

    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    disabled = project["config"]["pulumi:disable-default-providers"]["value"]
    assert set(disabled) == {"azure-native", "docker", "random"}
    assert "pulumi:disable-default-providers" not in stack_config(stack)
