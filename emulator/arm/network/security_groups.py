"""Network security groups and their rules.

A rule is a resource of its own that also travels inside the body of its group; rules are told apart by
name, so that a rename is one rule gone and another come.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from ipaddress import ip_address, ip_network

from azure_types.security_rules import DEFAULT_RULES, DefaultRule
from emulator.arm import answers
from emulator.arm.catalogue import WEAK_ETAG, described
from emulator.arm.context import Deletion, Write, new_etag
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json
from emulator.arm.network.common import bad_name
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import sources

GROUP = "Microsoft.Network/networkSecurityGroups"
RULE = "Microsoft.Network/networkSecurityGroups/securityRules"
SUBNET = "Microsoft.Network/virtualNetworks/subnets"
INTERFACE = "Microsoft.Network/networkInterfaces"
IN_USE = "properties.networkSecurityGroup.id"

PRIORITIES = range(100, 4097)

SERVICE_TAGS = frozenset(
    """
    apimanagement appconfiguration appservice appservicemanagement azureactivedirectory
    azureactivedirectorydomainservices azureadvancedthreatprotection azurearcinfrastructure azurebackup
    azurebotservice azurecloud azurecognitivesearch azureconnectors azurecontainerregistry azurecosmosdb
    azuredatabricks azuredataexplorermanagement azuredevops azuredigitaltwins azureeventgrid
    azurefrontdoor.backend azurefrontdoor.frontend azurefrontdoor.firstparty azureinformationprotection
    azureiothub azurekeyvault azureloadbalancer azuremachinelearning azuremonitor azureopendatasets
    azureplatformdns azureplatformimds azureplatformlkm azureresourcemanager azuresignalr azuresiterecovery
    azurestack azuretrafficmanager azureupdatedelivery batchnodemanagement cognitiveservicesmanagement
    datafactory datafactorymanagement dynamics365formarketinemail eventhub gatewaymanager
    guestandhybridmanagement hdinsight internet logicapps logicappsmanagement microsoftcloudappsecurity
    microsoftcontainerregistry powerbi powerqueryonline servicebus servicefabric sql sqlmanagement storage
    storagesyncservice virtualnetwork windowsadmincenter windowsvirtualdesktop """.split()  # noqa: SIM905
)
"""https://learn.microsoft.com/azure/virtual-network/service-tags-overview; regional ones end in .<region>."""


def default_rules(group: str) -> list[Json]:
    """Return the six rules that a group (an ARM id) ends with."""
    return [_default_rule(group, rule) for rule in DEFAULT_RULES]


def _default_rule(group: str, rule: DefaultRule) -> Json:
    return {
        "id": f"{group}/defaultSecurityRules/{rule.name}",
        "name": rule.name,
        "type": f"{GROUP}/defaultSecurityRules",
        "properties": {
            "provisioningState": "Succeeded",
            "description": rule.description,
            "protocol": "*",
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": rule.source,
            "destinationAddressPrefix": rule.destination,
            "sourcePortRanges": [],
            "destinationPortRanges": [],
            "sourceAddressPrefixes": [],
            "destinationAddressPrefixes": [],
            "access": "Allow" if rule.allow else "Deny",
            "direction": "Inbound" if rule.inbound else "Outbound",
            "priority": rule.priority,
        },
    }


# Groups


def _complete_group(write: Write) -> None:
    write.settle("properties.resourceGuid", str(uuid.uuid4()))


def _check_rules(write: Write) -> None:
    check_conflicts(write.tx, write.id.key)


def _render_group(tx: Transaction, row: Row, answer: Json) -> None:
    properties = answer["properties"]
    properties["defaultSecurityRules"] = default_rules(row.id)
    for name, type_ in (("subnets", SUBNET), ("networkInterfaces", INTERFACE)):
        users = [{"id": identifier} for identifier in sources(tx, row, IN_USE, type_)]
        if users:
            properties[name] = users


def _keep_used(deletion: Deletion) -> None:
    users = [via for _, _, via in deletion.tx.links_to(deletion.row.key, IN_USE)]
    if users:
        raise bad_request(
            "InUseNetworkSecurityGroupCannotBeDeleted",
            f"Network security group {deletion.row.id} cannot be deleted because it is in use by the "
            f"following resources: {', '.join(users)}. In order to delete the Network security group, "
            "remove the association with the resource(s). To learn how to do this, see aka.ms/deletensg.",
        )


# Rules


def check_conflicts(tx: Transaction, group: str) -> None:
    """Raise when two rules of a group have the same priority in the same direction."""
    seen: dict[tuple[str, int], str] = {}
    for rule in tx.children(group, RULE):
        place = (rule.properties["direction"], rule.properties["priority"])
        if place in seen:
            raise bad_request(
                "SecurityRuleConflict",
                f"Security rule {rule.name} conflicts with rule {seen[place]}. Rules cannot have the same "
                "Priority and Direction.",
            )
        seen[place] = rule.name


def _check_priority(write: Write) -> None:
    priority = write.get("properties.priority")
    if priority not in PRIORITIES:
        raise bad_request(
            "SecurityRuleInvalidPriority",
            f"Security rule has invalid Priority. Value provided: {priority}. Priority range for user rules "
            f"is {PRIORITIES.start}-{PRIORITIES.stop - 1}.",
        )


def _check_sides(write: Write) -> None:
    for side in ("source", "destination"):
        groups = write.get(f"properties.{side}ApplicationSecurityGroups")
        single = write.get(f"properties.{side}AddressPrefix")
        several = write.get(f"properties.{side}AddressPrefixes")
        parameter = side.capitalize() + "AddressPrefix"
        _one_of(write, parameter, single, several, groups)
        for prefix in several or []:
            _check_plain_prefix(write, parameter, prefix)
        if single:
            _check_prefix(single)
        single, several = write.get(f"properties.{side}PortRange"), write.get(f"properties.{side}PortRanges")
        _one_of(write, side.capitalize() + "PortRange", single, several)
        for ports in several or []:
            if ports == "*":
                raise bad_request(
                    "SecurityRuleParameterContainsInvalidPortRanges",
                    f"Security rule parameter {side.capitalize()}PortRanges for rule with Id {write.id.path} "
                    "contains '*', which only the singular parameter may be.",
                )
            _check_ports(ports)
        if single:
            _check_ports(single)


def _one_of(write: Write, parameter: str, *given: object) -> None:
    named = [value for value in given if value]
    if len(named) != 1:
        problem = (
            "is missing" if not named else "is given in more than one form, singular, plural or by group"
        )
        raise bad_request(
            "SecurityRuleParameterMissing" if not named else "SecurityRuleParameterConflict",
            f"Security rule parameter {parameter} for rule with Id {write.id.path} {problem}. Exactly one "
            "form is needed.",
        )


def _check_plain_prefix(write: Write, parameter: str, prefix: str) -> None:
    if prefix == "*" or _is_tag(prefix):
        raise bad_request(
            "SecurityRuleParameterContainsUnsupportedValue",
            f"Security rule parameter {parameter} for rule with Id {write.id.path} cannot specify existing "
            "VIRTUALNETWORK, INTERNET, AZURELOADBALANCER, '*' or system tags. Unsupported value used: "
            f"{prefix}.",
        )
    _check_prefix(prefix)


def _is_tag(prefix: str) -> bool:
    lower = prefix.lower()
    return lower in SERVICE_TAGS or lower.rpartition(".")[0] in SERVICE_TAGS


def _check_prefix(prefix: str) -> None:
    """A bare number is an address too, as .NET's IPAddress.Parse reads it (recorded: test_network_nsg, 2020).

    https://learn.microsoft.com/dotnet/api/system.net.ipaddress.parse
    """
    if prefix == "*" or _is_tag(prefix):
        return
    try:
        ip_network(prefix) if "/" in prefix else ip_address(int(prefix) if prefix.isdecimal() else prefix)
    except ValueError as wrong:
        raise bad_request(
            "SecurityRuleInvalidAddressPrefix",
            f"Security rule has invalid Address prefix. Value provided: {prefix}",
        ) from wrong


def _check_ports(ports: str) -> None:
    if ports == "*":
        return
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", ports)
    if found is None or not 0 <= int(found[1]) <= int(found[2] or found[1]) <= 65535:
        raise _bad_ports(ports)


def _bad_ports(ports: str) -> ArmError:
    return bad_request(
        "SecurityRuleInvalidPortRange",
        f"Security rule has invalid Port range. Value provided: {ports}. Value should be an integer OR "
        "integer range with '-' delimiter. Valid range 0-65535.",
    )


def _stamp_group(write: Write) -> None:
    if not write.inline:
        check_conflicts(write.tx, write.id.parent)
        group = write.parent()
        group.etag = new_etag()
        write.tx.put(group)


def _stamp_on_delete(deletion: Deletion) -> None:
    group = deletion.tx.get(deletion.row.parent)
    if group is not None and not deletion.with_parent:
        group.etag = new_etag()
        deletion.tx.put(group)


def _own_group(key: str, _: Json) -> frozenset[str]:
    return frozenset({key.split("/securityrules/", maxsplit=1)[0]})


TYPES = (
    replace(
        described(GROUP, error=bad_name),
        answers=answers.NETWORK,
        inline={"securityRules": RULE},
        check=(_complete_group,),
        after=(_check_rules,),
        keep=(_keep_used,),
        render=_render_group,
        etag=WEAK_ETAG,
    ),
    replace(
        described(RULE, error=bad_name),
        answers=answers.NETWORK,
        defaults={
            "properties": {
                "sourcePortRanges": [],
                "destinationPortRanges": [],
                "sourceAddressPrefixes": [],
                "destinationAddressPrefixes": [],
            }
        },
        check=(_check_priority, _check_sides),
        after=(_stamp_group,),
        gone=(_stamp_on_delete,),
        holds=_own_group,
        etag=WEAK_ETAG,
        patch=(),
    ),
)
