"""What a subscription lacks before the first deployment: found out in seconds, instead of half-way through
`up`.

`missing` is a pure function of the settings and of what Azure answered; `ask` gets the answers. Nothing is
changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from automation.hospitals import lack, landing_zone, offers, own_network, shared_zones
from automation.hospitals.lack import Lack
from automation.hospitals.landing_zone import Content
from automation.hospitals.offers import Offers
from automation.hospitals.permissions import allows
from automation.hospitals.shared_zones import ZoneAnswers
from automation.stacks.arm import Answer, Arm
from components.flow_logs import WATCHER_GROUP, watcher_name
from federation.parties import CentreParty, Federation, Party
from federation.problem import Problem
from federation.settings import Settings

#: Namespaces that each party's resources belong to. Azure registers few of them by itself in a new
#: subscription.
EVERY_PARTY: Final = (
    "Microsoft.Authorization",
    "Microsoft.Compute",
    "Microsoft.Consumption",
    "Microsoft.Insights",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
)
#: Offers of which Cost Management shows nothing, and so has no budgets. Those of CSP share their ids with
#: ones that it supports: https://learn.microsoft.com/azure/cost-management-billing/costs/understand-cost-mgt-data
WITHOUT_BUDGETS: Final = frozenset(
    {"AzureForStudents_2018-01-01", "DreamSpark_2015-02-01", "Sponsored_2016-01-01"}
)
ENCRYPTION_AT_HOST: Final = "Microsoft.Compute/EncryptionAtHost"

#: (what the deployment does, the action that Azure asks for)
ACTIONS: Final = (
    ("make resource groups", "Microsoft.Resources/subscriptions/resourceGroups/write"),
    ("make networks", "Microsoft.Network/virtualNetworks/write"),
    ("peer networks", "Microsoft.Network/virtualNetworks/peer/action"),
    ("make VMs", "Microsoft.Compute/virtualMachines/write"),
    ("run operators' commands on VMs", "Microsoft.Compute/virtualMachines/runCommand/action"),
    ("make storage accounts", "Microsoft.Storage/storageAccounts/write"),
    ("give VMs their roles", "Microsoft.Authorization/roleAssignments/write"),
)
LOCKS: Final = ("lock what holds data", "Microsoft.Authorization/locks/write")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What Azure said about one subscription, each as it came."""

    subscription: Answer
    providers: Answer
    feature: Answer
    permissions: Answer
    watchers: Answer
    #: By region, because quotas and sizes are.
    compute_usages: Answer
    network_usages: Answer
    sizes: Answer
    offers: Offers
    policies: tuple[tuple[Content, Answer], ...]
    own_network: Answer | None = None
    zones: Mapping[str, ZoneAnswers] = field(default_factory=dict)
    """Of an organisation's own zones, asked for the centre, which all parties share them with."""


@dataclass(frozen=True, kw_only=True)
class Missing(Problem):
    """One thing that would stop the first deployment; `where` is the party that lacks `what`."""

    subscription: str


def ask(arm: Arm, settings: Settings, party: Party) -> Answers:
    """Ask Azure everything that `missing` needs to know about the party's subscription."""
    scope = f"/subscriptions/{party.subscription_id}"
    region = f"locations/{party.location}/usages"
    return Answers(
        subscription=arm.get(scope, "2022-12-01"),
        providers=arm.get(f"{scope}/providers", "2021-04-01"),
        feature=arm.get(
            f"{scope}/providers/Microsoft.Features/providers/Microsoft.Compute/features/EncryptionAtHost",
            "2021-07-01",
        ),
        permissions=arm.get(f"{scope}/providers/Microsoft.Authorization/permissions", "2022-04-01"),
        watchers=arm.get(f"{scope}/providers/Microsoft.Network/networkWatchers", "2024-05-01"),
        compute_usages=arm.get(f"{scope}/providers/Microsoft.Compute/{region}", "2024-07-01"),
        network_usages=arm.get(f"{scope}/providers/Microsoft.Network/{region}", "2024-05-01"),
        sizes=arm.get(
            f"{scope}/providers/Microsoft.Compute/skus",
            "2021-07-01",
            **{"$filter": f"location eq '{party.location}'"},
        ),
        offers=offers.ask(arm, settings, party),
        policies=landing_zone.ask(arm, settings, party),
        own_network=own_network.ask(arm, party),
        zones=shared_zones.ask(arm, settings) if isinstance(party, CentreParty) else {},
    )


def missing(federation: Federation, party: Party, answers: Answers) -> list[Missing]:
    """Return what the party's subscription lacks; empty when `up` may start."""
    check = _Check(federation=federation, party=party, answers=answers)
    found = list(check.access())
    if found:
        return found
    found.extend(check.billing())
    for answer, what, judge in (
        (answers.providers, "the list of resource providers", check.providers),
        (answers.feature, "the state of a feature", check.features),
        (answers.permissions, "the list of your permissions", check.permissions),
        (answers.sizes, "the list of VM sizes", check.sizes),
        (answers.compute_usages, "the quotas of VMs", check.cores),
        (answers.network_usages, "the quotas of networks", check.addresses),
        (answers.watchers, "the list of network watchers", check.watcher),
    ):
        found.extend([check.named(lack.unreadable(answer, what))] if answer.is_error else judge())
    return [*found, *check.offers(), *check.policies(), *check.own_network(), *check.zones()]


def namespaces(settings: Settings, party: Party) -> list[str]:
    """Return the resource providers that this party's resources need."""
    found = list(EVERY_PARTY)
    if isinstance(party, CentreParty):
        found.append("Microsoft.ContainerRegistry")
        if settings.backup.enabled:
            found.append("Microsoft.DataProtection")
        if party.gateway:
            found.append("Microsoft.PowerPlatform")
    if settings.encryption.customer_managed_keys:
        found.append("Microsoft.KeyVault")
    return sorted(found)


@dataclass(kw_only=True)
class _Check:
    federation: Federation
    party: Party
    answers: Answers
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.federation.settings

    def access(self) -> Iterator[Missing]:
        answer = self.answers.subscription
        if answer.is_error:
            yield self._lacks(
                "access to the subscription",
                f"Azure says {answer.error}",
                "check the id in the stack file; let an owner of the subscription grant the roles that "
                "`./fed bootstrap` lists, then sign in again",
            )
        elif answer.body.get("state", "Enabled") != "Enabled":
            yield self._lacks(
                "an enabled subscription",
                f"it is {answer.body['state']}: Azure takes no new resource in it",
                "let the owner settle it with Azure's billing support",
            )
        elif (tenant := answer.body.get("tenantId")) and tenant != self.settings.tenant_id:
            yield self._lacks(
                f"membership of tenant {self.settings.tenant_id}",
                f"it belongs to tenant {tenant}: managed identities are known in their own tenant alone",
                "use a subscription of the federation's tenant",
            )

    def billing(self) -> Iterator[Missing]:
        """Who pays, and how: https://learn.microsoft.com/azure/cost-management-billing/manage/spending-limit."""
        paid = self.answers.subscription.body.get("subscriptionPolicies") or {}
        if paid.get("spendingLimit") == "On":
            yield self._lacks(
                "a subscription without a spending limit",
                "Azure stops every VM of it when this month's credit is used up, and deletes them later",
                "let its owner remove the limit: Azure portal, Subscriptions, Remove spending limit",
            )
        if paid.get("quotaId") in WITHOUT_BUDGETS:
            yield self._lacks(
                "an offer with budgets",
                f"its offer is {paid['quotaId']}, which Cost Management does not support: Azure would refuse "
                "the budget",
                "use a subscription that is paid by invoice or card, not by credit",
            )

    def providers(self) -> Iterator[Missing]:
        states = {
            str(entry["namespace"]).lower(): str(entry["registrationState"])
            for entry in self.answers.providers.body.get("value", [])
        }
        for namespace in namespaces(self.settings, self.party):
            state = states.get(namespace.lower(), "unknown")
            if state == "Registered":
                continue
            yield self._lacks(
                f"resource provider {namespace}",
                f"it is {state}: Azure refuses its resources (MissingSubscriptionRegistration)",
                self._az(f"provider register --namespace {namespace} --wait"),
            )

    def features(self) -> Iterator[Missing]:
        if not self.settings.machine.encryption_at_host:
            return
        state = (self.answers.feature.body.get("properties") or {}).get("state", "unknown")
        if state != "Registered":
            yield self._lacks(
                f"feature {ENCRYPTION_AT_HOST}",
                f"it is {state} and fed:machine.encryptionAtHost is true: Azure refuses the VM",
                self._az("feature register --namespace Microsoft.Compute --name EncryptionAtHost")
                + "; when it says Registered: "
                + self._az("provider register --namespace Microsoft.Compute"),
            )

    def permissions(self) -> Iterator[Missing]:
        granted = self.answers.permissions.body.get("value", [])
        for purpose, action in (*ACTIONS, *((LOCKS,) if self.settings.protection.locks else ())):
            if not allows(granted, action):
                yield self._lacks(
                    f"permission to {purpose}",
                    f"you may not {action} there",
                    "let an owner of the subscription grant what `./fed bootstrap` lists for this stack",
                )

    def sizes(self) -> Iterator[Missing]:
        size = self._size()
        name, region = self.party.vm_size, self.party.location
        if size is None:
            yield self._lacks(
                f"VM size {name} in {region}",
                "Azure does not offer it to this subscription there",
                "choose another fed:machine.size or region, or ask for access with a support request",
            )
            return
        for restriction in size.get("restrictions", []):
            info = restriction.get("restrictionInfo") or {}
            zone = self.settings.machine.zone
            if restriction.get("type") == "Location" or str(zone) in info.get("zones", []):
                yield self._lacks(
                    f"VM size {name} in {region}",
                    f"Azure restricts it ({restriction.get('reasonCode', 'no reason given')})",
                    "choose another fed:machine.size, zone or region, or ask for access with a support "
                    "request",
                )
        if (
            self.settings.machine.encryption_at_host
            and _capability(size, "EncryptionAtHostSupported") != "True"
        ):
            yield self._lacks(
                f"encryption at host for {name} in {region}",
                "the size does not support it there, and fed:machine.encryptionAtHost is true",
                "choose another fed:machine.size",
            )

    def cores(self) -> Iterator[Missing]:
        size = self._size()
        if size is not None:
            cores = int(_capability(size, "vCPUs") or 0)
            for name in ("cores", str(size.get("family", ""))):
                yield from self._quota(self.answers.compute_usages, name, cores, "vCPUs")

    def addresses(self) -> Iterator[Missing]:
        if self.party.egress == "nat":
            yield from self._quota(
                self.answers.network_usages, "PublicIPAddresses", 1, "public addresses for NAT"
            )

    def watcher(self) -> Iterator[Missing]:
        if not self.settings.network.flow_logs:
            return
        region = self.party.location
        name = watcher_name(region)
        found = [
            str(entry["id"])
            for entry in self.answers.watchers.body.get("value", [])
            if str(entry.get("location", "")).lower() == region
        ]
        wanted = f"/{WATCHER_GROUP}/providers/Microsoft.Network/networkWatchers/{name}".lower()
        if any(one.lower().endswith(wanted) for one in found):
            return
        others = [f"az resource delete --ids {one}" for one in found]
        yield self._lacks(
            f"Network Watcher {WATCHER_GROUP}/{name}",
            f"flow logs are written below it, and Azure takes one in a region: there is {found[0]} instead, "
            "whose own flow logs go with it"
            if found
            else "flow logs are written below it, and Azure makes it by itself only after the region's first "
            "network, which may be too late for the first deployment, and never where somebody opted out",
            "; ".join(
                (
                    *others,
                    self._az(f"group create --name {WATCHER_GROUP} --location {region}"),
                    self._az(
                        f"resource create --resource-group {WATCHER_GROUP} --name {name} --location {region} "
                        "--resource-type Microsoft.Network/networkWatchers --properties '{}'"
                    ),
                )
            ),
        )

    def offers(self) -> Iterator[Missing]:
        yield from map(self.named, offers.lacking(self.settings, self.party, self.answers.offers))

    def policies(self) -> Iterator[Missing]:
        yield from map(self.named, landing_zone.lacking(self.party, self.answers.policies))

    def own_network(self) -> Iterator[Missing]:
        yield from map(self.named, own_network.lacking(self.party, self.answers.own_network))

    def zones(self) -> Iterator[Missing]:
        yield from map(self.named, shared_zones.lacking(self.answers.zones))

    def named(self, found: Lack) -> Missing:
        return self._lacks(found.what, found.why, found.fix)

    def _size(self) -> Mapping[str, Any] | None:
        for entry in self.answers.sizes.body.get("value", []):
            if entry.get("resourceType") == "virtualMachines" and entry.get("name") == self.party.vm_size:
                return dict(entry)
        return None

    def _quota(self, usages: Answer, name: str, wanted: int, what: str) -> Iterator[Missing]:
        for usage in usages.body.get("value", []):
            if str(usage["name"]["value"]).lower() != name.lower():
                continue
            free = int(usage["limit"]) - int(usage["currentValue"])
            if free < wanted:
                yield self._lacks(
                    f"quota of {what} ({usage['name'].get('localizedValue', name)})",
                    f"{free} of {usage['limit']} are free in {self.party.location}, {wanted} are needed",
                    "ask for more: Azure portal, Quotas, or choose another size or region",
                )

    def _az(self, command: str) -> str:
        return f"az {command} --subscription {self.party.subscription_id}"

    def _lacks(self, what: str, why: str, fix: str) -> Missing:
        return Missing(
            where=self.party.name, subscription=self.party.subscription_id, what=what, why=why, fix=fix
        )


def _capability(size: Mapping[str, Any], name: str) -> str | None:
    return next(
        (str(entry["value"]) for entry in size.get("capabilities", []) if entry["name"] == name), None
    )
