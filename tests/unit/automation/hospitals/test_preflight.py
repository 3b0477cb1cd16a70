"""A subscription that lacks something is found out before the first deployment, with the command that fixes
it.

The answers have the shapes of Azure's REST reference; none was recorded from a real subscription.
"""

import dataclasses
from typing import Any

import pytest

from automation.hospitals.landing_zone import planned
from automation.hospitals.offers import Offers
from automation.hospitals.permissions import allows
from automation.hospitals.preflight import ACTIONS, Answers, Missing, missing, namespaces
from automation.hospitals.stack_file import StackFile
from automation.stacks.arm import Answer
from clone import paths
from federation.parties import Federation, Party, federation
from federation.settings import load
from tests.unit.support import door_settings

ROOT = paths.REPOSITORY
TENANT = "10000000-0000-4000-8000-00000000fed0"


def stack(name: str) -> Federation:
    return federation(StackFile(ROOT / f"Pulumi.{name}.yaml").settings())


def ok(*value: dict[str, Any], **body: Any) -> Answer:
    return Answer(status=200, body={"value": list(value)} if value else body or {"value": []})


def refused(status: int, code: str, message: str) -> Answer:
    return Answer(status=status, body={"error": {"code": code, "message": message}})


def usage(name: str, used: int, limit: int) -> dict[str, Any]:
    return {"name": {"value": name, "localizedValue": name}, "currentValue": used, "limit": limit}


def size(name: str, family: str, cores: int, **more: Any) -> dict[str, Any]:
    capabilities = [
        {"name": "vCPUs", "value": str(cores)},
        {"name": "EncryptionAtHostSupported", "value": "True"},
    ]
    entry = {"resourceType": "virtualMachines", "name": name, "family": family}
    return {**entry, "capabilities": capabilities, "restrictions": [], **more}


def sku(name: str, *restrictions: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "StorageV2",
        "locations": ["westeurope"],
        "restrictions": list(restrictions),
    }


def offered(name: str, **changed: Answer) -> list[Missing]:
    whole = stack(name)
    return look(name, offers=dataclasses.replace(fit(whole, whole.centre).offers, **changed))


def watcher(group: str, name: str, location: str = "westeurope") -> dict[str, Any]:
    kind = "providers/Microsoft.Network/networkWatchers"
    return {"id": f"/subscriptions/s/resourceGroups/{group}/{kind}/{name}", "location": location}


def fit(whole: Federation, party: Party) -> Answers:
    """What Azure says of a subscription in which everything is ready."""
    registered = (
        {"namespace": name, "registrationState": "Registered"} for name in namespaces(whole.settings, party)
    )
    return Answers(
        subscription=ok(state="Enabled", tenantId=TENANT),
        providers=ok(*registered),
        feature=ok(properties={"state": "Registered"}),
        permissions=ok({"actions": ["*"], "notActions": []}),
        watchers=ok(watcher("NetworkWatcherRG", "NetworkWatcher_westeurope")),
        compute_usages=ok(usage("cores", 0, 10), usage("standardFamily", 0, 10)),
        network_usages=ok(usage("PublicIPAddresses", 0, 10)),
        sizes=ok(size(party.vm_size, "standardFamily", 4)),
        offers=Offers(
            image=ok(location=party.location) if whole.settings.machine.image.version != "latest" else None,
            redundancy=ok(sku(party.storage_sku)),
            deleted_workspaces=ok(),
        ),
        policies=tuple(
            (content, ok(contentEvaluationResult={"policyEvaluations": []}))
            for content in planned(whole.settings, party)
        ),
    )


def look(name: str, party: int = 0, **changed: Any) -> list[Missing]:
    whole = stack(name)
    one = whole.parties[party]
    return missing(whole, one, dataclasses.replace(fit(whole, one), **changed))


@pytest.mark.parametrize("name", ["dev", "mvp", "prod"])
@pytest.mark.parametrize("party", [0, 1])
def test_nothing_is_missing_where_everything_is_ready(name: str, party: int) -> None:
    assert look(name, party) == []


def test_an_unregistered_provider_is_named_with_its_command() -> None:
    providers = ok(
        *(
            {
                "namespace": name.upper(),
                "registrationState": "NotRegistered" if name == "Microsoft.Insights" else "Registered",
            }
            for name in namespaces(stack("dev").settings, stack("dev").centre)
        )
    )
    (found,) = look("dev", providers=providers)
    assert found.what == "resource provider Microsoft.Insights"
    assert found.fix == (
        "az provider register --namespace Microsoft.Insights --wait "
        "--subscription 20000000-0000-4000-8000-000000000000"
    )


def test_what_only_some_parties_and_stacks_need_is_asked_of_them_alone() -> None:
    dev, prod = stack("dev"), stack("prod")
    assert "Microsoft.ContainerRegistry" in namespaces(dev.settings, dev.centre)
    assert "Microsoft.ContainerRegistry" not in namespaces(dev.settings, dev.hospitals[0])
    assert "Microsoft.KeyVault" not in namespaces(dev.settings, dev.hospitals[0])
    assert "Microsoft.KeyVault" in namespaces(prod.settings, prod.hospitals[0])
    assert "Microsoft.DataProtection" in namespaces(prod.settings, prod.centre)
    assert "Microsoft.DataProtection" not in namespaces(prod.settings, prod.hospitals[0])
    assert "Microsoft.PowerPlatform" in namespaces(prod.settings, prod.centre)
    assert "Microsoft.PowerPlatform" not in namespaces(prod.settings, prod.hospitals[0])
    assert "Microsoft.PowerPlatform" not in namespaces(dev.settings, dev.centre)


def test_encryption_at_host_needs_its_feature_only_where_it_is_set() -> None:
    unregistered = ok(properties={"state": "NotRegistered"})
    (found,) = look("prod", feature=unregistered)
    assert "az feature register --namespace Microsoft.Compute --name EncryptionAtHost" in found.fix
    assert look("dev", feature=unregistered) == []


def test_a_quota_that_is_too_small_says_how_much_is_free() -> None:
    (found,) = look("prod", compute_usages=ok(usage("cores", 8, 100), usage("standardFamily", 8, 10)))
    assert "2 of 10 are free in westeurope, 4 are needed" in found.why
    (found,) = look("dev", network_usages=ok(usage("PublicIPAddresses", 10, 10)))
    assert "0 of 10 are free" in found.why


def test_a_size_that_is_not_offered_or_restricted_is_found() -> None:
    assert "VM size Standard_D4s_v5" in look("prod", sizes=ok())[0].what
    closed = {"type": "Location", "reasonCode": "NotAvailableForSubscription"}
    offered = ok(size("Standard_D4s_v5", "standardFamily", 4, restrictions=[closed]))
    assert "NotAvailableForSubscription" in look("prod", sizes=offered)[0].why


def test_a_zone_matters_only_when_it_is_ours() -> None:
    def zone(number: str) -> Answer:
        closed = {
            "type": "Zone",
            "reasonCode": "NotAvailableForSubscription",
            "restrictionInfo": {"zones": [number]},
        }
        return ok(size("Standard_D4s_v5", "standardFamily", 4, restrictions=[closed]))

    assert len(look("prod", sizes=zone("1"))) == 1
    assert look("prod", sizes=zone("3")) == []


def test_contributor_alone_may_not_give_roles_nor_lock() -> None:
    contributor = ok(
        {
            "actions": ["*"],
            "notActions": ["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"],
        }
    )
    assert [found.what for found in look("dev", permissions=contributor)] == [
        "permission to give VMs their roles"
    ]
    assert [found.what for found in look("prod", permissions=contributor)] == [
        "permission to give VMs their roles",
        "permission to lock what holds data",
    ]


def test_two_roles_together_allow_what_neither_does_alone() -> None:
    contributor = {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}
    administrator = {"actions": ["Microsoft.Authorization/roleAssignments/write", "*/read"], "notActions": []}
    assert look("dev", permissions=ok(contributor, administrator)) == []


def test_flow_logs_need_a_network_watcher_in_the_region() -> None:
    elsewhere = ok(watcher("NetworkWatcherRG", "NetworkWatcher_northeurope", "northeurope"))
    fix = look("prod", watchers=elsewhere)[0].fix
    assert fix.startswith("az group create --name NetworkWatcherRG --location westeurope --subscription ")
    assert "--resource-group NetworkWatcherRG --name NetworkWatcher_westeurope" in fix
    assert look("dev", watchers=elsewhere) == []


def test_a_watcher_that_the_flow_logs_do_not_name_is_in_their_way() -> None:
    """Older releases of Azure's command line make `westeurope-watcher`; the program names Azure's own."""
    lower = ok(watcher("networkwatcherrg", "networkwatcher_westeurope"))
    assert look("prod", watchers=lower) == []
    other = watcher("NetworkWatcherRG", "westeurope-watcher")
    (found,) = look("prod", watchers=ok(other))
    assert found.what == "Network Watcher NetworkWatcherRG/NetworkWatcher_westeurope"
    assert other["id"] in found.why
    assert found.fix.startswith(f"az resource delete --ids {other['id']}; az group create ")


def test_an_image_that_azure_took_away_is_named_with_the_command_that_lists_others() -> None:
    (found,) = offered("prod", image=refused(404, "NotFound", "no such version"))
    assert "Canonical:ubuntu-24_04-lts:server:24.04." in found.what
    assert found.fix.startswith("az vm image list --location westeurope --publisher Canonical ")
    (found,) = offered("prod", image=refused(403, "AuthorizationFailed", "no"))
    assert "Reader" in found.fix


def test_redundancy_that_is_not_offered_or_restricted_is_found() -> None:
    (found,) = offered("prod", redundancy=ok(sku("Standard_LRS")))
    assert found.what == "storage redundancy Standard_GZRS in westeurope"
    closed = {"type": "location", "reasonCode": "NotAvailableForSubscription"}
    (found,) = offered("prod", redundancy=ok(sku("Standard_GZRS", closed)))
    assert "NotAvailableForSubscription" in found.why


def test_a_deleted_workspace_is_in_the_way_only_from_another_region() -> None:
    """https://learn.microsoft.com/rest/api/loganalytics/workspaces/delete"""
    kind = "providers/Microsoft.OperationalInsights/workspaces"
    deleted = {"id": f"/subscriptions/s/resourceGroups/rg-old/{kind}/x", "name": "LOG-fed-dev-centre"}
    assert offered("dev", deleted_workspaces=ok(deleted | {"location": "West Europe"})) == []
    (found,) = offered("dev", deleted_workspaces=ok(deleted | {"location": "northeurope"}))
    assert found.what == "the name log-fed-dev-centre"
    assert "delete --force --resource-group rg-old --workspace-name log-fed-dev-centre" in found.fix


ASSIGNMENT = (
    "/providers/Microsoft.Management/managementGroups/corp/providers/x/policyAssignments/Deny-Public-IP"
)


def judged(name: str, type_: str, **body: Any) -> list[Missing]:
    """What is missing where Azure Policy answers this about one type, and nothing about the others."""
    whole = stack(name)
    answers = fit(whole, whole.centre).policies
    assert any(content["type"] == type_ for content, _ in answers)
    changed = [(content, ok(**body) if content["type"] == type_ else answer) for content, answer in answers]
    return look(name, policies=tuple(changed))


def evaluation(effect: str, result: str = "NonCompliant") -> dict[str, Any]:
    """In the shape of azure-rest-api-specs, PolicyRestrictions_CheckAtSubscriptionScope.json, 2023-03-01."""
    one = {
        "policyInfo": {"policyDefinitionId": "d", "policyAssignmentId": ASSIGNMENT},
        "evaluationResult": result,
        "evaluationDetails": {"evaluatedExpressions": [], "reason": "no public addresses here"},
        "effectDetails": {"policyEffect": effect},
    }
    return {"policyEvaluations": [one]}


class TestAPolicyOfTheLandingZone:
    def test_that_denies_a_planned_resource_is_named_with_its_exemption(self) -> None:
        address = "Microsoft.Network/publicIPAddresses"
        (found,) = judged("dev", address, contentEvaluationResult=evaluation("Deny"))
        assert found.what == f"leave to make {address}"
        assert "Deny-Public-IP denies it: no public addresses here" in found.why
        assert f"--policy-assignment {ASSIGNMENT} --scope /subscriptions/2000" in found.fix

    def test_that_wants_a_tag_is_named_with_the_tag(self) -> None:
        restriction = {
            "result": "Required",
            "policy": {"policyDefinitionId": "d", "policyAssignmentId": ASSIGNMENT},
            "policyEffect": "Deny",
            "reason": "tags.costCentre is required",
        }
        fields = [{"field": "tags.costCentre", "restrictions": [restriction]}]
        group = "Microsoft.Resources/subscriptions/resourceGroups"
        (found,) = judged("dev", group, fieldRestrictions=fields)
        assert "tags.costCentre is required" in found.why

    @pytest.mark.parametrize(("effect", "result"), [("Audit", "NonCompliant"), ("Deny", "Compliant")])
    def test_that_does_not_deny_is_not_in_the_way(self, effect: str, result: str) -> None:
        evaluated = evaluation(effect, result)
        assert judged("dev", "Microsoft.Network/virtualNetworks", contentEvaluationResult=evaluated) == []

    def test_is_asked_about_what_the_party_would_make(self) -> None:
        dev, prod = stack("dev"), stack("prod")
        types = {content["type"] for content in planned(dev.settings, dev.hospitals[0])}
        assert "Microsoft.ContainerRegistry/registries" not in types
        (zone,) = [one for one in planned(prod.settings, prod.centre) if one["type"].endswith("DnsZones")]
        assert zone["name"] == "privatelink.blob.core.windows.net" and zone["location"] == "global"
        assert zone["tags"] == dict(prod.centre.tags)

    def test_is_asked_whether_a_window_may_be_open(self) -> None:
        settings = load("dev", door_settings.config("dev", {"hungary": door_settings.window()}))
        asked = planned(settings, federation(settings).hospitals[1])
        accounts = [content for content in asked if content["type"].endswith("storageAccounts")]
        assert [one["properties"]["publicNetworkAccess"] for one in accounts] == ["Disabled", "Enabled"]

    def test_that_cannot_be_asked_about_is_not_taken_for_none(self) -> None:
        closed = refused(403, "AuthorizationFailed", "no such right")
        whole = stack("dev")
        asked = tuple((content, closed) for content in planned(whole.settings, whole.centre))
        (found,) = look("dev", policies=asked)
        assert "AuthorizationFailed: no such right" in found.why


@pytest.mark.parametrize(
    ("policies", "what"),
    [
        ({"spendingLimit": "On", "quotaId": "MSDN_2014-09-01"}, "a subscription without a spending limit"),
        ({"spendingLimit": "Off", "quotaId": "Sponsored_2016-01-01"}, "an offer with budgets"),
    ],
)
def test_a_subscription_that_stops_or_has_no_budgets_is_found(policies: dict[str, str], what: str) -> None:
    """https://learn.microsoft.com/azure/cost-management-billing/costs/understand-cost-mgt-data"""
    answer = ok(state="Enabled", tenantId=TENANT, subscriptionPolicies=policies)
    (found,) = look("dev", subscription=answer)
    assert found.what == what


@pytest.mark.parametrize("answer", ["redundancy", "deleted_workspaces"])
def test_an_offer_that_azure_refuses_to_list_is_not_taken_for_none(answer: str) -> None:
    (found,) = offered("dev", **{answer: refused(403, "AuthorizationFailed", "no such right")})
    assert "AuthorizationFailed: no such right" in found.why


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (refused(404, "SubscriptionNotFound", "could not be found"), "access to the subscription"),
        (ok(state="Disabled", tenantId=TENANT), "an enabled subscription"),
        (ok(state="Enabled", tenantId="other"), f"membership of tenant {TENANT}"),
    ],
)
def test_without_access_only_that_is_said(answer: Answer, what: str) -> None:
    everything_else_refused = {
        field.name: refused(403, "AuthorizationFailed", "no") for field in dataclasses.fields(Answers)
    }
    found = look("dev", **{**everything_else_refused, "subscription": answer})
    assert [one.what for one in found] == [what]


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("providers", "the list of resource providers"),
        ("permissions", "the list of your permissions"),
        ("sizes", "the list of VM sizes"),
        ("compute_usages", "the quotas of VMs"),
        ("network_usages", "the quotas of networks"),
    ],
)
def test_a_list_that_azure_refuses_is_not_taken_for_an_empty_one(answer: str, what: str) -> None:
    found = look("dev", **{answer: refused(403, "AuthorizationFailed", "no such right")})
    assert [one.what for one in found] == [what]
    assert "AuthorizationFailed: no such right" in found[0].why


@pytest.mark.parametrize("action", [action for _, action in ACTIONS])
def test_reading_roles_allow_nothing_that_the_deployment_does(action: str) -> None:
    assert not allows([{"actions": ["*/read"], "notActions": []}], action)
    assert allows([{"actions": [action.upper()], "notActions": []}], action)


class TestADoorsNetwork:
    NETWORK = ok(
        name="vnet-house",
        location="westeurope",
        properties={"subnets": [{"name": "desks", "properties": {"addressPrefix": "10.50.3.0/24"}}]},
    )

    def look(self, answer: Answer, **endpoint: str) -> list[Missing]:
        settings = load("dev", door_settings.config("dev", {"cleveland": door_settings.door(**endpoint)}))
        whole = federation(settings)
        party = whole.hospitals[0]
        return missing(whole, party, dataclasses.replace(fit(whole, party), own_network=answer))

    def test_that_has_room_lacks_nothing(self) -> None:
        assert self.look(self.NETWORK) == []

    @pytest.mark.parametrize("address", ["10.50.3.3", "10.50.3.255", "10.50.4.20"])
    def test_an_address_that_azure_would_refuse_is_found(self, address: str) -> None:
        (found,) = self.look(self.NETWORK, address=address)
        assert f"the address {address} in desks" in found.what

    def test_another_region_another_subnet_and_no_network_are_found(self) -> None:
        elsewhere = dataclasses.replace(self.NETWORK, body={**self.NETWORK.body, "location": "northeurope"})
        assert "an endpoint is in the region of its network" in self.look(elsewhere)[0].why
        guests = door_settings.DESKS.replace("desks", "guests")
        assert "the subnet guests" in self.look(self.NETWORK, subnetId=guests)[0].what
        assert "the network" in self.look(refused(404, "ResourceNotFound", "none"))[0].what

    def test_what_azure_does_not_show_is_not_taken_for_fit(self) -> None:
        (found,) = self.look(refused(403, "AuthorizationFailed", "no such right"))
        assert "the network of the door" in found.what

    def test_of_the_centre_is_looked_at_as_well(self) -> None:
        whole = federation(load("dev", door_settings.config("dev", {"centre": door_settings.centre()})))
        answers = dataclasses.replace(fit(whole, whole.centre), own_network=self.NETWORK)
        (found,) = missing(whole, whole.centre, answers)
        assert f"the address {door_settings.CENTRES_ADDRESS} in desks" in found.what
