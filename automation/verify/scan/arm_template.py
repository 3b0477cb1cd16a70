"""A stack as ARM templates, one for each subscription: for scanners that do not read Pulumi (checkov#7601).

What the program asks for is turned into the bodies of the requests that the provider would send. Secrets and
values that are not known yet become placeholders; a template is for reading, not for deploying.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from automation.verify.facts.resources import AZURE, VerifyError
from azure_types.azure_type import AzureType
from azure_types.types import find
from pulumi_wire.values import SIGNATURE, UNKNOWN_STRINGS

Template = dict[str, Any]

SCHEMA: Final = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
UNKNOWN: Final = "(known after the deployment)"
_WRITE_ONLY: Final = ("customData", "userData", "adminPassword")


def from_export(document: Mapping[str, Any]) -> dict[str, Template]:
    """Return the templates of what ``pulumi stack export`` printed, by subscription id."""
    return _templates((document.get("deployment") or {}).get("resources") or [])


def from_preview(document: Mapping[str, Any]) -> dict[str, Template]:
    """Return the templates of what ``pulumi preview --json`` printed, by subscription id."""
    states = [step.get("newState") for step in document.get("steps") or []]
    return _templates([state for state in states if state])


def _templates(resources: list[Mapping[str, Any]]) -> dict[str, Template]:
    subscriptions = {
        f"{r['urn']}::{r.get('id') or UNKNOWN}": str(_plain(r.get("inputs") or {}).get("subscriptionId"))
        for r in resources
        if r["type"] == "pulumi:providers:azure-native"
    }
    by_urn = {key.rsplit("::", 1)[0]: subscription for key, subscription in subscriptions.items()}
    found: dict[str, list[Template]] = defaultdict(list)
    for resource in resources:
        if resource["type"].startswith(AZURE):
            provider = str(resource.get("provider", "")).rsplit("::", 1)[0]
            subscription = by_urn.get(provider, "unknown")
            found[subscription].append(_resource(resource, subscription))
    if not found:
        raise VerifyError("there is no Azure resource in this document: nothing can be rendered")
    return {
        subscription: {
            "$schema": SCHEMA,
            "contentVersion": "1.0.0.0",
            "resources": sorted(entries, key=lambda e: (e["type"], e["name"])),
        }
        for subscription, entries in found.items()
    }


def _resource(resource: Mapping[str, Any], subscription: str) -> Template:
    type_ = find(resource["type"])
    if type_ is None:
        raise VerifyError(f"{resource['type']} has no row in azure_types/overrides.py")
    inputs = _plain(resource.get("inputs") or {})
    parameters = {name: inputs.get(name, UNKNOWN) for name in type_.parameters}
    arm_id = type_.resource_id(subscription, parameters)
    kind, names = _kind_and_names(arm_id, type_)
    return {
        "type": kind,
        "apiVersion": type_.version,
        "name": names,
        "metadata": {"pulumi": resource["urn"].rsplit("::", 1)[-1]},
        **_redacted(type_.to_arm({k: v for k, v in inputs.items() if not k.startswith("__")})),
    }


def _kind_and_names(arm_id: str, type_: AzureType) -> tuple[str, str]:
    """Return a resource's full type and its names, parents first, as templates write them."""
    namespace, *pairs = arm_id.rsplit("/providers/", 1)[-1].split("/")
    if "/providers/" not in type_.path:
        return "Microsoft.Resources/resourceGroups", arm_id.rsplit("/", 1)[-1]
    return "/".join((namespace, *pairs[::2])), "/".join(pairs[1::2])


def _plain(value: Any) -> Any:
    """Open what the engine wraps: secrets stay closed, what is not known says so."""
    if isinstance(value, Mapping):
        if SIGNATURE in value:
            return UNKNOWN
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return UNKNOWN if isinstance(value, str) and value in UNKNOWN_STRINGS else value


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: "(left out)" if name in _WRITE_ONLY else _redacted(member) for name, member in value.items()
        }
    return [_redacted(member) for member in value] if isinstance(value, list) else value
