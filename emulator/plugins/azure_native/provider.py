"""The life of a resource in azure-native: create, read, update, delete, and what a preview foretells.

Follows the behaviour of pulumi-azure-native 3.x (its Go sources are named where a rule is not obvious).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

from azure_types.azure_type import AzureType
from azure_types.types import BY_TOKEN, find
from emulator.arm import tokens
from emulator.arm.messages import Json, Response
from emulator.plugins.azure_native.check import CREATE_FIRST, check, refusal, same_place
from emulator.plugins.azure_native.client import ArmClient, Bearer, Handle, OperationFailedError, describe
from emulator.plugins.azure_native.foretold import foretold
from emulator.plugins.azure_native.interrupted import Creations
from emulator.plugins.azure_native.refresh import drifted_inputs, imported_inputs
from emulator.plugins.diff import changes
from emulator.plugins.package import (
    Checked,
    Difference,
    Failure,
    Found,
    InitError,
    Package,
    ProviderError,
    Resource,
)
from pulumi_wire.values import UNKNOWN, Properties

log = logging.getLogger(__name__)

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INDEX = re.compile(r"\[\d+\]")
_GROUP_VERSION = BY_TOKEN["azure-native:resources:ResourceGroup"].version


@dataclass(frozen=True, kw_only=True)
class Azure:
    """What every provider instance of a daemon shares.

    `handle` answers a request to Resource Manager, `bearer` returns a good token, `pace` is the factor on the
    pauses between retries (1 is Azure's own), `creations` tells interrupted creates from strangers.
    """

    handle: Handle
    bearer: Bearer
    creations: Creations
    pace: float


class AzureNative(Package):
    """The package `azure-native`, configured for one subscription."""

    name = "azure-native"
    version = version("pulumi-azure-native")

    def __init__(self, directory: Path, azure: Azure) -> None:
        super().__init__(directory)
        self._client = ArmClient(azure.handle, azure.bearer, pace=azure.pace)
        self._bearer, self._creations = azure.bearer, azure.creations
        self._subscription = ""
        self._tenant = tokens.TENANT_ID
        self._location: str | None = None

    def check_config(self, inputs: Properties) -> Sequence[Failure]:
        """Demand a subscription: the real provider would ask the az CLI for one, which nobody has here."""
        failures = []
        subscription, tenant = inputs.get("subscriptionId"), inputs.get("tenantId")
        if subscription is not UNKNOWN and not _is_guid(subscription):
            failures.append(
                Failure(
                    "subscriptionId",
                    f"subscriptionId must be the GUID of a subscription, not {subscription!r}: without it "
                    "the resources of this provider have no place. On the emulator any GUID will do.",
                )
            )
        if tenant not in (None, UNKNOWN) and not _is_guid(tenant):
            failures.append(Failure("tenantId", f"tenantId must be the GUID of a tenant, not {tenant!r}."))
        return failures

    def configure(self, inputs: Properties) -> None:
        """Take subscription, tenant and default location; credentials and the rest are of no use here."""
        self._subscription = str(inputs.get("subscriptionId", ""))
        self._tenant = str(inputs.get("tenantId", self._tenant))
        self._location = inputs.get("location")

    def cancel(self) -> None:
        """End calls that poll or wait to retry."""
        self._client.cancel()

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        """Complete and judge inputs; a type without a row in the table ends here."""
        type_ = find(resource.token)
        if type_ is None:
            return Checked(inputs=new, failures=[Failure("", refusal(resource.token))])
        return check(
            type_,
            resource,
            old,
            new,
            seed=seed,
            location=self._location,
            group_location=self._group_location,
        )

    def diff(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Difference:
        """Compare inputs; whatever replaces deletes first, unless the name was made up (provider/diff.go)."""
        type_ = _type(resource)

        def same(path: str, before: Any, after: Any) -> bool:
            if path == "location" or path.endswith(".location"):
                return same_place(before if before is not None else old_outputs.get(path), after)
            if _is_id(before) and _is_id(after):
                return str(before).lower() == str(after).lower()
            if before is None and path in type_.replacing and old_outputs.get(path) == after:
                return True
            if before is None or after is None:
                default = type_.layout.default_at(_INDEX.sub("[]", path))
                return default is not None and default == (after if before is None else before)
            return False

        found = [change for change in changes(old_inputs, new, same) if not change.path.startswith("__")]
        return Difference(
            changes=found,
            replaces=frozenset(change.top for change in found) & type_.replacing,
            delete_first=not new.get(CREATE_FIRST, False),
        )

    def create(self, resource: Resource, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Make the resource; never adopt one that exists already."""
        type_ = _type(resource)
        if preview:
            return "", foretold(type_, inputs)
        resource_id = type_.resource_id(self._subscription, inputs)
        self._refuse_existing(type_, resource, resource_id)
        self._creations.begin(resource_id, resource.urn)
        body = type_.to_arm(inputs)
        for path in type_.kept:
            _set_default(body, path, [])
        return self._put(type_, resource_id, body, inputs)

    def update(
        self,
        resource: Resource,
        old_inputs: Properties,
        old_outputs: Properties,
        new: Properties,
        *,
        preview: bool,
    ) -> Properties:
        """Put the whole resource again; lists that the program leaves to Azure are fetched and sent along."""
        type_ = _type(resource)
        if preview:
            return foretold(type_, new) | {
                name: old_outputs[name] for name in ("name", "location") if name in old_outputs
            }
        restored = {name: value for name, value in type_.restored.items() if name in old_inputs}
        body = type_.to_arm(restored | new)
        missing = [path for path in type_.kept if _at(body, path) is None]
        if missing:
            live = self._expect(self._client.get(resource.id, type_.version)).body or {}
            for path in missing:
                _set_default(body, path, _at(live, path) or [])
        return self._put(type_, resource.id, body, new)[1]

    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Remove the resource, or put back the defaults of one that lives and dies with its parent."""
        type_ = _type(resource)
        if type_.singleton:
            answer = self._client.write("PUT", resource.id, type_.version, {"properties": {}})
        else:
            answer = self._client.write("DELETE", resource.id, type_.version)
        if answer.status != 404:
            self._expect(answer)
        self._creations.forget(resource.id)

    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Found:
        """Look at the resource, for a refresh (there are inputs) or an import (there are none)."""
        type_ = _type(resource)
        if type_.parse(resource.id) is None:
            raise ProviderError(
                f"'{resource.id}' is no id of {resource.token}; it should look like {type_.path}"
            )
        answer = self._client.get(resource.id, type_.version)
        if answer.status == 404:
            return Found()
        body = self._expect(answer).body or {}
        seen, canonical = type_.to_outputs(body), body.get("id", resource.id)
        if inputs:
            inputs = drifted_inputs(type_, inputs, outputs, seen)
        else:
            inputs = imported_inputs(type_, type_.parse(canonical) or {}, seen)
        return Found(id=canonical, outputs=seen, inputs=inputs)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer who the deployer is; other functions would read Azure, and are refused."""
        if token == "azure-native:authorization:getClientConfig":  # noqa: S105 a function's token
            return {
                "clientId": tokens.DEPLOYER_CLIENT_ID,
                "objectId": tokens.DEPLOYER_OBJECT_ID,
                "subscriptionId": self._subscription,
                "tenantId": self._tenant,
            }
        if token == "azure-native:authorization:getClientToken":  # noqa: S105
            return {"token": self._bearer()}
        return super().invoke(token, arguments)

    def _group_location(self, group: str) -> str | None:
        path = f"/subscriptions/{self._subscription}/resourceGroups/{group}"
        answer = self._client.get(path, _GROUP_VERSION)
        return answer.body["location"] if answer.status == 200 and answer.body else None

    def _refuse_existing(self, type_: AzureType, resource: Resource, resource_id: str) -> None:
        live = self._client.get(resource_id, type_.version)
        if live.status in {404, 204} or type_.singleton:
            return
        if live.status != 200:
            raise ProviderError(f"cannot check existence of resource '{resource_id}': {describe(live)}")
        if not self._creations.interrupted(resource_id, resource.urn):
            raise ProviderError(f"cannot create already existing resource '{resource_id}'")
        log.warning("resuming the interrupted create of %s", resource_id)

    def _put(
        self, type_: AzureType, resource_id: str, body: Json, inputs: Properties
    ) -> tuple[str, Properties]:
        """PUT, wait, and read once more: the last answer becomes the outputs.

        A read that fails is an error after an accepted write, of which it is a part (azcore's poller); else
        it is a warning, and the answer to the PUT is the outputs (provider.go, `readAfterWrite`).
        """
        try:
            answer = self._expect(self._client.write("PUT", resource_id, type_.version, body))
        except OperationFailedError as failure:
            live = self._client.get(resource_id, type_.version)
            if live.status != 200 or live.body is None:
                raise
            raise InitError(
                str(failure),
                resource_id=live.body["id"],
                outputs=type_.to_outputs(live.body),
                inputs=inputs,
            ) from failure
        made = (answer.body or {}).get("id", resource_id)
        live = self._client.get(made, type_.version)
        if live.status != 200:
            if answer.status == HTTPStatus.ACCEPTED or "azure-asyncoperation" in answer.headers:
                raise ProviderError(f"resource partially created but read failed {describe(live)}")
            log.warning("reading %s after its PUT: %s", made, describe(live))
            live = answer
        body = live.body or {}
        return str(body.get("id", made)), type_.to_outputs(body)

    @staticmethod
    def _expect(answer: Response) -> Response:
        if answer.status >= 300:
            raise ProviderError(describe(answer))
        return answer


def _type(resource: Resource) -> AzureType:
    type_ = find(resource.token)
    if type_ is None:
        raise ProviderError(refusal(resource.token))
    return type_


def _is_guid(value: Any) -> bool:
    return isinstance(value, str) and _GUID.fullmatch(value) is not None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("/subscriptions/", "/providers/"))


def _at(body: Json, path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _set_default(body: Json, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        body = body.setdefault(name, {})
    body.setdefault(last, value)
