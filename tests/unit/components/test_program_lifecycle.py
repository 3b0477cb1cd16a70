"""What happens in which order, what a change touches, what survives it, and what protects what matters."""

import base64
import json
import re
from typing import get_args

import pytest
from container_server.notices import Code

from federation.notices import CODES, OF_CENTRE, OF_HOSPITAL
from tests.unit.components.test_program_isolation import (
    MACHINE,
    NETWORK,
    NSG,
    PEERING,
    custom_data,
    parties_of,
    party,
)
from tests.unit.conftest import NEWCOMER
from tests.unit.federation.test_settings import GALLERY
from tests.unit.support.program_graph import Graph, Recorded, record, stack_config

ENDPOINT = "azure-native:network:PrivateEndpoint"
ZONE_GROUP = "azure-native:network:PrivateDnsZoneGroup"
INTERFACE = "azure-native:network:NetworkInterface"
LOCK = "azure-native:authorization:ManagementLockByScope"
DISK = "azure-native:compute:Disk"


def of_party(graph: Graph, name: str) -> list[Recorded]:
    return [resource for resource in graph.azure() if party(resource) == name]


class TestOnboardingAHospital:
    def test_touches_the_centres_rules_and_member_list_and_nothing_else(
        self, onboarding: tuple[Graph, Graph]
    ) -> None:
        before, after = onboarding
        changed = {
            resource.name
            for urn, resource in before.resources.items()
            if after.resources[urn].comparable != resource.comparable
        }
        stack = before.outputs["environment"]
        assert changed == {
            f"nsg-fed-{stack}-centre-server",
            f"nsg-fed-{stack}-centre-endpoints",
            f"vm-fed-{stack}-centre",
        }

    def test_changes_no_rule_but_its_list_of_sources(self, onboarding: tuple[Graph, Graph]) -> None:
        before, after = onboarding
        for group in before.of(NSG):
            grown = after.resources[group.urn].inputs["securityRules"]
            for old, new in zip(group.inputs["securityRules"], grown, strict=True):
                kept = {key: value for key, value in new.items() if "sourceAddressPrefix" not in key}
                assert kept == {key: value for key, value in old.items() if "sourceAddressPrefix" not in key}

    def test_keeps_the_centres_machine(self, onboarding: tuple[Graph, Graph]) -> None:
        before, after = onboarding
        (centre,) = [machine for machine in before.of(MACHINE) if party(machine) == "centre"]
        grown = after.resources[centre.urn]
        assert custom_data(grown) == custom_data(centre)
        differing = {key for key in grown.inputs if grown.inputs[key] != centre.inputs.get(key)}
        assert differing == {"userData"}

    def test_makes_the_hospital_and_its_place_at_the_centre(self, onboarding: tuple[Graph, Graph]) -> None:
        before, after = onboarding
        new = [after.resources[urn] for urn in set(after.resources) - set(before.resources)]
        at_centre = {
            resource.name for resource in new if resource.custom and resource.provider.endswith("-centre")
        }
        stack = before.outputs["environment"]
        assert at_centre == {
            f"container-fed-{stack}-centre-client-{NEWCOMER}",
            f"peer-fed-{stack}-centre-{NEWCOMER}",
            f"role-fed-{stack}-centre-client-{NEWCOMER}-centre-storage-blob-data-contributor",
            f"role-fed-{stack}-centre-client-{NEWCOMER}-{NEWCOMER}-storage-blob-data-contributor",
            f"role-fed-{stack}-centre-registry-{NEWCOMER}-acrpull",
        }
        elsewhere = [r for r in new if r.custom and not r.provider.endswith("-centre")]
        assert all(NEWCOMER in resource.name for resource in elsewhere)


class TestTheFirstDay:
    def test_the_centre_can_be_deployed_before_any_hospital(self) -> None:
        config = stack_config("dev")
        config["fed:hospitals"] = {}
        graph = record("dev", config)
        assert graph.outputs["hospitals"] == {}
        assert parties_of(graph) == {"centre"}
        assert not graph.of(PEERING)


class TestOrder:
    def test_a_peering_waits_for_everything_in_both_networks(self, graph: Graph) -> None:
        """Azure refuses to write a VNet while something is being put into it (azure-native#4340)."""
        for half in graph.of(PEERING):
            ends = {half.name.split("-", 3)[3], "centre"}
            hospital = next(
                name for name in parties_of(graph) - {"centre"} if any(name in end for end in ends)
            )
            waits = graph.behind(half)
            for resource in graph.of(NETWORK, INTERFACE, ENDPOINT, ZONE_GROUP):
                if party(resource) in {hospital, "centre"}:
                    assert resource.urn in waits, (half.name, resource.name)

    def test_peerings_come_one_after_the_other(self, graph: Graph) -> None:
        """All of them write the centre's VNet."""
        halves = graph.of(PEERING)
        for one in halves:
            for other in halves:
                if one is not other:
                    assert (one.urn in graph.behind(other)) != (other.urn in graph.behind(one))

    def test_what_is_put_into_one_network_comes_one_after_the_other(self, graph: Graph) -> None:
        for name in parties_of(graph):
            users = [r for r in graph.of(INTERFACE, ENDPOINT) if party(r) == name]
            for one in users:
                for other in users:
                    if one is not other:
                        assert (one.urn in graph.behind(other)) != (other.urn in graph.behind(one))

    def test_a_flow_log_waits_for_its_network(self, prod: Graph) -> None:
        """The network watcher that it belongs to appears with the network."""
        for log in prod.of("azure-native:network:FlowLog"):
            network = next(n for n in prod.of(NETWORK) if party(n) == party(log))
            assert network.urn in prod.behind(log)

    def test_a_silent_agent_is_reported_once_there_is_an_agent(self, graph: Graph) -> None:
        """A rule that is older than its VM would mail every contact at each deployment from nothing."""
        rules = [rule for rule in graph.azure() if rule.name.endswith("-agent") and "alert-" in rule.name]
        assert {party(rule) for rule in rules} == parties_of(graph)
        for rule in rules:
            (starts,) = [
                one
                for one in graph.of("azure-native:monitor:DataCollectionRuleAssociation")
                if party(one) == party(rule)
            ]
            assert starts.urn in graph.behind(rule)
            (condition,) = rule.inputs["criteria"]["allOf"]
            assert condition["failingPeriods"]["minFailingPeriodsToAlert"] == 2

    def test_locks_are_made_last_and_go_first(self, prod: Graph) -> None:
        """Nothing below a lock can be deleted: whatever could be must have been made before."""
        for lock in prod.of(LOCK):
            waits = prod.behind(lock)
            for resource in of_party(prod, party(lock)):
                if resource.typ not in {LOCK, "azure-native:consumption:Budget"}:
                    assert resource.urn in waits, (lock.name, resource.name)

    def test_what_uses_a_key_waits_until_it_may(self, prod: Graph) -> None:
        for name in parties_of(prod):
            (account, disk) = [
                r
                for r in prod.of("azure-native:authorization:RoleAssignment")
                if "-key-" in r.name and party(r) == name
            ]
            accounts = [r for r in of_party(prod, name) if r.typ == "azure-native:storage:StorageAccount"]
            disks = [r for r in of_party(prod, name) if r.typ in {DISK, MACHINE}]
            assert len(accounts) == len(disks) == 2
            assert all(account.urn in prod.behind(user) for user in accounts)
            assert all(disk.urn in prod.behind(user) for user in disks)
            assert all(len(user.error_hooks) == 1 for user in (*accounts, *disks))

    def test_a_disks_key_is_used_by_the_identity_that_a_closed_vault_trusts(self, mvp: Graph) -> None:
        """A user-assigned one is refused: https://github.com/Azure/HubAndSpokeResearchEnclave/issues/205"""
        for disk_set in mvp.of("azure-native:compute:DiskEncryptionSet"):
            assert disk_set.inputs["identity"] == {"type": "SystemAssigned"}

    def test_a_registry_needs_no_key_from_a_closed_vault(self, prod: Graph) -> None:
        """Azure refuses it: https://github.com/MicrosoftDocs/azure-docs/issues/61015"""
        (registry,) = prod.of("azure-native:containerregistry:Registry")
        assert not {"encryption", "identity"} & registry.inputs.keys()

    def test_nothing_waits_where_azure_keeps_the_keys(self, dev: Graph) -> None:
        assert not [r.name for r in dev.resources.values() if r.error_hooks]


class TestReplacingAMachine:
    def test_follows_a_change_of_what_it_boots_from(self, graph: Graph) -> None:
        for machine in graph.of(MACHINE):
            assert "osProfile.customData" in machine.replace_on_changes
            assert machine.delete_before_replace

    def test_does_not_follow_a_change_of_the_member_list(self, graph: Graph) -> None:
        for machine in graph.of(MACHINE):
            assert not [path for path in machine.replace_on_changes if path.startswith(("userData", "tags"))]

    def test_does_not_follow_other_images(self, prod: Graph) -> None:
        """A new digest is an update in place of each VM, and of nothing else (docs/adr/0057)."""
        config = stack_config("prod")
        config["fed:images"]["digests"] = dict.fromkeys(config["fed:images"]["digests"], f"sha256:{'1' * 64}")
        after = record("prod", config)
        changed = {
            (prod.resources[urn].typ, key)
            for urn, resource in after.resources.items()
            for key in resource.inputs
            if resource.inputs[key] != prod.resources[urn].inputs.get(key)
        }
        assert set(after.resources) == set(prod.resources)
        assert changed == {(MACHINE, "userData")}

    def test_is_not_announced_for_a_change_of_tags(self, graph: Graph) -> None:
        """A preview knows no ids of an identity that is being updated: it would replace its users."""
        identities = graph.of("azure-native:managedidentity:UserAssignedIdentity")
        assert len(identities) >= len(parties_of(graph))
        assert all("tags" in identity.ignore_changes for identity in identities)

    def test_leaves_the_data_disk(self, graph: Graph) -> None:
        disks = {disk.id for disk in graph.of(DISK)}
        for machine in graph.of(MACHINE):
            (attached,) = machine.inputs["storageProfile"]["dataDisks"]
            assert attached["managedDisk"]["id"] in disks
            assert attached["createOption"] == "Attach"
            assert attached["deleteOption"] == "Detach"

    def test_takes_agent_and_association_along(self, graph: Graph) -> None:
        """They vanish with the VM: only what takes its VM from the VM's outputs is made again."""
        agents = graph.of("azure-native:compute:VirtualMachineExtension")
        associations = graph.of("azure-native:monitor:DataCollectionRuleAssociation")
        machines = {machine.urn for machine in graph.of(MACHINE)}
        assert len(agents) == len(associations) == len(machines)
        assert {urn for agent in agents for urn in agent.properties_from["vmName"]} == machines
        assert {urn for one in associations for urn in one.properties_from["resourceUri"]} == machines


class TestHardening:
    def test_machines_start_trusted(self, graph: Graph) -> None:
        for machine in graph.of(MACHINE):
            profile = machine.inputs["securityProfile"]
            assert profile["securityType"] == "TrustedLaunch"
            assert profile["uefiSettings"] == {"secureBootEnabled": True, "vTpmEnabled": True}

    def test_encryption_at_host_is_said_only_when_it_is_wanted(self, dev: Graph, mvp: Graph) -> None:
        """Even false needs the feature to be registered in the subscription."""
        assert all("encryptionAtHost" not in m.inputs["securityProfile"] for m in dev.of(MACHINE))
        assert all(m.inputs["securityProfile"]["encryptionAtHost"] is True for m in mvp.of(MACHINE))

    def test_disks_are_not_exported(self, graph: Graph) -> None:
        for disk in graph.of(DISK):
            assert disk.inputs["networkAccessPolicy"] == "DenyAll"
            assert disk.inputs["publicNetworkAccess"] == "Disabled"

    @pytest.mark.parametrize("stack", ["mvp", "prod"])
    def test_each_party_has_its_own_key(self, stack: str, request: pytest.FixtureRequest) -> None:
        graph: Graph = request.getfixturevalue(stack)
        for name in parties_of(graph):
            (vault,) = [v for v in graph.of("azure-native:keyvault:Vault") if party(v) == name]
            assert vault.inputs["properties"]["enablePurgeProtection"] is True
            assert vault.inputs["properties"]["enableRbacAuthorization"] is True
            assert vault.inputs["properties"]["networkAcls"]["defaultAction"] == "Deny"
            for account in graph.of("azure-native:storage:StorageAccount"):
                if party(account) == name:
                    properties = account.inputs["encryption"]["keyVaultProperties"]
                    assert properties["keyVaultUri"] == f"https://{vault.inputs['vaultName']}.vault.azure.net"
                    assert "keyVersion" not in properties
            (disk_set,) = [d for d in graph.of("azure-native:compute:DiskEncryptionSet") if party(d) == name]
            disks = [d for d in graph.of(DISK) if party(d) == name]
            assert [d.inputs["encryption"]["diskEncryptionSetId"] for d in disks] == [disk_set.id]

    def test_dev_leaves_nothing_that_keeps_its_name_taken(self, dev: Graph) -> None:
        """A purge-protected vault or a soft-deleted backup would outlive `destroy`."""
        assert not dev.of("azure-native:keyvault:Vault", "azure-native:dataprotection:BackupVault", LOCK)
        assert not [resource for resource in dev.resources.values() if resource.protect]

    def test_a_key_goes_with_its_vault(self, mvp: Graph) -> None:
        """Deleting it alone would need the data plane, which is closed."""
        vaults = {vault.urn for vault in mvp.of("azure-native:keyvault:Vault")}
        assert {key.deleted_with for key in mvp.of("azure-native:keyvault:Key")} == vaults

    def test_a_key_keeps_what_resource_manager_cannot_change(self, mvp: Graph) -> None:
        """A PUT of a key that exists changes nothing, and Pulumi would record that it did."""
        assert {key.ignore_changes for key in mvp.of("azure-native:keyvault:Key")} == {("properties", "tags")}


def test_a_gateway_that_azure_writes_into_an_address_is_no_drift(graph: Graph) -> None:
    """Once a NAT gateway has a public address, Azure's GET of that address names the gateway:
    https://github.com/hashicorp/terraform-provider-azurerm/issues/13082. `natGateway` is an input of the
    type, so a look for drift would find it every night (pulumi-azure-native#4722).
    """
    addresses = graph.of("azure-native:network:PublicIPAddress")
    assert addresses
    assert {address.ignore_changes for address in addresses} == {("natGateway",)}


def test_one_failed_request_of_a_quiet_account_mails_nobody(graph: Graph) -> None:
    """Azure's Availability is the share of an account's requests without an unexpected error
    (https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage-reference): with ten in the window
    one failure is 90. Five minutes and 100, Microsoft's baseline, would mail for each.
    """
    found = [
        (alert.inputs["windowSize"], criterion["operator"], criterion["threshold"])
        for alert in graph.of("azure-native:monitor:MetricAlert")
        for criterion in alert.inputs["criteria"]["allOf"]
        if criterion["metricName"] == "Availability"
    ]
    assert len(found) >= len(parties_of(graph))
    assert set(found) == {("PT15M", "LessThan", 90.0)}


def test_azure_patches_its_own_images_and_no_gallerys() -> None:
    config = stack_config("dev")
    config["fed:machine"]["image"] = {"galleryImageId": GALLERY}
    for recorded, mode in ((record("dev"), "AutomaticByPlatform"), (record("dev", config), "ImageDefault")):
        for machine in recorded.of(MACHINE):
            settings = machine.inputs["osProfile"]["linuxConfiguration"]["patchSettings"]
            assert (settings["patchMode"], settings["assessmentMode"]) == (mode, mode)


class TestProdKeepsWhatHoldsData:
    def test_from_pulumi(self, prod: Graph) -> None:
        """All but what ends when a hospital leaves: the kit on its disk, its container at the centre."""
        keepers = prod.of(
            DISK,
            "azure-native:keyvault:Vault",
            "azure-native:keyvault:Key",
            "azure-native:storage:BlobContainer",
            "azure-native:storage:StorageAccount",
            "azure-native:operationalinsights:Workspace",
        )
        unprotected = {resource.name for resource in keepers if not resource.protect}
        hospitals = parties_of(prod) - {"centre"}
        assert unprotected == {
            *(f"disk-fed-prod-{name}-data" for name in hospitals),
            *(f"container-fed-prod-centre-client-{name}" for name in hospitals),
        }
        assert not [machine for machine in prod.of(MACHINE) if machine.protect]

    def test_from_azure(self, prod: Graph) -> None:
        locked = {lock.inputs["scope"] for lock in prod.of(LOCK)}
        for disk in prod.of(DISK):
            assert disk.id in locked
        for account in prod.of("azure-native:storage:StorageAccount"):
            group = prod.named(account.inputs["resourceGroupName"])
            assert locked & {account.id, group.id}, account.name
        for workspace in prod.of("azure-native:operationalinsights:Workspace"):
            assert workspace.id in locked, workspace.name
        assert {lock.inputs["level"] for lock in prod.of(LOCK)} == {"CanNotDelete"}

    def test_but_machines_can_be_replaced(self, prod: Graph) -> None:
        """A lock on a group of machines would block every new image."""
        compute = {machine.inputs["resourceGroupName"] for machine in prod.of(MACHINE)}
        groups = {prod.named(name).id for name in compute}
        assert not groups & {lock.inputs["scope"] for lock in prod.of(LOCK)}

    def test_by_daily_snapshots(self, prod: Graph) -> None:
        (instance,) = prod.of("azure-native:dataprotection:BackupInstance")
        (disk,) = [disk for disk in prod.of(DISK) if party(disk) == "centre"]
        assert instance.inputs["properties"]["dataSourceInfo"]["resourceID"] == disk.id


class TestImages:
    def test_are_built_in_dev_and_pinned_elsewhere(self, graph: Graph) -> None:
        built = graph.of("docker:index/image:Image")
        is_dev = graph.outputs["environment"] == "dev"
        assert {image.name.split("-centre-")[1] for image in built} == (
            {"fl-server", "fl-client", "container-server", "mlflow"} if is_dev else set()
        )

    def test_run_by_digest(self, graph: Graph) -> None:
        """A tag could be moved to another image after the review."""
        (registry,) = graph.of("azure-native:containerregistry:Registry")
        server = f"{registry.inputs['registryName']}.azurecr.io"
        for machine in graph.of(MACHINE):
            text = custom_data(machine)
            run = set(re.findall(rf"{re.escape(server)}/([a-z-]+)@\$\{{IMAGE_", text))
            assert text.count(f"{server}/") == text.count("@${IMAGE_") >= 2
            named = json.loads(base64.b64decode(machine.inputs["userData"]))["images"]
            assert run == set(named)
            assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in named.values())

    def test_gpu_of_a_hospitals_size_is_told_to_its_machine_alone(self) -> None:
        config = stack_config("dev")
        hospital = sorted(config["fed:hospitals"])[0]
        config["fed:hospitals"][hospital]["vmSize"] = "Standard_NC4as_T4_v3"
        config["fed:centre"] = {**config.get("fed:centre", {}), "vmSize": "Standard_NC4as_T4_v3"}
        machines = record("dev", config).of(MACHINE)
        assert [party(one) for one in machines if "/dev/nvidia0" in custom_data(one)] == [hospital]

    def test_boxes_that_the_stack_names_are_built_and_told_to_every_machine(self) -> None:
        config = stack_config("dev")
        config["fed:images"]["boxes"] = ["tabular"]
        recorded = record("dev", config)
        built = {image.name.split("-centre-")[1] for image in recorded.of("docker:index/image:Image")}
        assert built == {"fl-server", "fl-client", "container-server", "mlflow", "box-tabular"}
        for machine in recorded.of(MACHINE):
            assert 'FED_BOXES: "tabular@${IMAGE_BOX_TABULAR}"' in custom_data(machine)
            assert "box-tabular" in json.loads(base64.b64decode(machine.inputs["userData"]))["images"]

    def test_carry_no_credential(self, dev: Graph) -> None:
        assert not [image for image in dev.of("docker:index/image:Image") if "registry" in image.inputs]


class TestMonitoring:
    def test_what_holds_data_says_who_touches_it(self, graph: Graph) -> None:
        watched = {
            setting.inputs["resourceUri"] for setting in graph.of("azure-native:monitor:DiagnosticSetting")
        }
        for account in graph.of("azure-native:storage:StorageAccount"):
            assert f"{account.id}/blobServices/default" in watched
        for resource in graph.of(
            NSG, "azure-native:keyvault:Vault", "azure-native:containerregistry:Registry"
        ):
            assert resource.id in watched

    def test_goes_to_the_partys_own_workspace(self, graph: Graph) -> None:
        workspaces = {w.id: party(w) for w in graph.of("azure-native:operationalinsights:Workspace")}
        for setting in graph.of("azure-native:monitor:DiagnosticSetting"):
            assert workspaces[setting.inputs["workspaceId"]] == party(setting)

    def test_each_party_is_told_of_what_its_container_server_says(self, graph: Graph) -> None:
        """A code that no alert looks for would be told to nobody."""
        queries = {
            (party(rule), rule.name.rpartition("-notice-")[2]): rule.inputs["criteria"]["allOf"][0]["query"]
            for rule in graph.of("azure-native:monitor:ScheduledQueryRule")
            if "-notice-" in rule.name
        }
        kinds = {name: OF_CENTRE if name == "centre" else OF_HOSPITAL for name in parties_of(graph)}
        assert set(queries) == {(name, kind) for name in kinds for kind in kinds[name]}
        for (_, kind), query in queries.items():
            assert 'ProcessName == "container-server"' in query
            assert all(f'"{code}"' in query for code in CODES[kind])
        assert {code for codes in CODES.values() for code in codes} == set(get_args(Code))
        assert {*OF_CENTRE, *OF_HOSPITAL} == set(CODES)

    def test_who_hears_of_one_kind_has_an_action_group_of_their_own(self) -> None:
        heard = {"jobs": ["research@example.org"], "certificates": ["security@example.org"]}
        graph = record("dev", {**stack_config("dev"), "fed:notices": heard})
        groups = {
            group.id: [receiver["emailAddress"] for receiver in group.inputs["emailReceivers"]]
            for group in graph.of("azure-native:monitor:ActionGroup")
            if party(group) == "centre"
        }
        tells = {
            rule.name.rpartition("-notice-")[2]: groups[rule.inputs["actions"]["actionGroups"][0]]
            for rule in graph.of("azure-native:monitor:ScheduledQueryRule")
            if "-notice-" in rule.name and party(rule) == "centre"
        }
        contacts = ["operations@example.org"]
        assert tells == {**heard, "approvals": contacts, "machines": contacts}

    def test_each_party_hears_of_its_own_trouble_and_costs(self, graph: Graph) -> None:
        groups = {group.id: party(group) for group in graph.of("azure-native:monitor:ActionGroup")}
        for alert in graph.of("azure-native:monitor:MetricAlert"):
            assert [groups[action["actionGroupId"]] for action in alert.inputs["actions"]] == [party(alert)]
        budgets = graph.of("azure-native:consumption:Budget")
        assert {party(budget) for budget in budgets} == parties_of(graph)
        for budget in budgets:
            assert budget.inputs["timePeriod"]["startDate"].endswith("-01T00:00:00Z")
            assert "timePeriod" in budget.ignore_changes
