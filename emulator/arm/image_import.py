"""Images that a registry takes from another.

Azure accepts every well-formed order with 202 and says by the operation what became of it: recorded,
test_acr_image_import (azure-cli, 2019); https://github.com/Azure/acr/issues/422 and /196 show failed ones.
https://learn.microsoft.com/rest/api/containerregistry/registries/import-image
"""

from __future__ import annotations

import re

from emulator.arm import ids
from emulator.arm.answers import RESULT_URL
from emulator.arm.context import Context
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.messages import Json, Request, Response
from emulator.arm.operations import begin, pending_headers
from emulator.arm.refusals import linked_authorization_failed, missing_resource
from emulator.arm.store import Row, Transaction

REGISTRY = "Microsoft.ContainerRegistry/registries"
NAMES = "registry"
"""Where registries claim their names."""
IMPORT_SECONDS = 30.0
"""Seconds that an import typically takes."""
_OWN = ".azurecr.io"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MODES = ("NoForce", "Force")


def registry_of(tx: Transaction, login_server: str) -> Row | None:
    """Return the registry behind a login server such as ``name.azurecr.io``."""
    owner = tx.claimed(NAMES, login_server.lower().removesuffix(_OWN))
    return tx.get(owner) if owner else None


def import_image(context: Context, row: Row, request: Request) -> Response:
    """Take an image from another registry, also one that is closed; its digest stays."""
    order = request.body or {}
    source = _check_order(order)
    registry = _source(context, row, source)
    failure = _take(context, row, order, registry)
    operation = begin(
        context, row, "POST", seconds=0.0 if failure else context.latency.seconds(IMPORT_SECONDS)
    )
    if failure is not None:
        failed = {"status": failure.status, "error": failure.error()}
        context.tx.end_operation(operation, "Failed", failed)
    headers = pending_headers(context, request, row.key, operation, wait=0.05, urls=(RESULT_URL,))
    return Response(status=202, headers=headers)


def _check_order(order: Json) -> Json:
    source = order.get("source")
    if not isinstance(source, dict) or not source.get("sourceImage"):
        raise bad_request("InvalidParameters", "An import needs source.sourceImage.")
    if bool(source.get("resourceId")) == bool(source.get("registryUri")):
        raise bad_request(
            "InvalidParameters", "The source of an import is either a resourceId or a registryUri."
        )
    if order.get("mode", "NoForce") not in _MODES:
        raise bad_request("InvalidParameters", f"The mode of an import is one of {', '.join(_MODES)}.")
    return source


def _source(context: Context, row: Row, source: Json) -> Row | None:
    """Return the registry to import from, None for one that is not of this Azure; the caller must be allowed
    to read what is named by its id."""
    if not source.get("resourceId"):
        uri = str(source["registryUri"])
        return registry_of(context.tx, uri) if uri.lower().endswith(_OWN) else None
    wanted = str(source["resourceId"])
    path = ids.parse(wanted)
    if path is None or path.type.lower() != REGISTRY.lower() or path.is_collection:
        raise bad_request("InvalidParameters", f"'{wanted}' is not the id of a registry.")
    if not context.caller.may_use(path.subscription):
        own = ids.parse(row.id)
        assert own is not None  # noqa: S101 it is a resource's
        raise linked_authorization_failed(
            context.caller, context.type_of(row), own, f"{REGISTRY}/pull/read", path.path
        )
    found = context.tx.get(path.key)
    if found is None:
        raise missing_resource(path.path)
    return found


def _take(context: Context, row: Row, order: Json, registry: Row | None) -> ArmError | None:
    """Copy the image; return why that could not be."""
    image = str(order["source"]["sourceImage"])
    if registry is None:
        return bad_request(
            "ImportFailed",
            f"The emulator reaches no registry but its own: {order['source']['registryUri']}/{image} cannot "
            "be had.",
        )
    repository, digest = _resolve(registry, image)
    held = f"{registry.properties['loginServer']}/{repository}@{digest}"
    if digest is None or not context.images.has(held):
        return not_found(
            "ManifestUnknown", f"manifest of {image!r} is not found at {registry.properties['loginServer']}"
        )
    targets = [_split(str(one)) for one in order.get("targetTags") or []]
    for one in targets:
        _tag(row, *one, digest, force=order.get("mode") == "Force")
    names = {name for name, _ in targets} | {str(n) for n in order.get("untaggedTargetRepositories") or []}
    for name in sorted(names or {repository}):
        context.images.copy(held, f"{row.properties['loginServer']}/{name}@{digest}")
    context.tx.put(row)
    return None


def _split(image: str) -> tuple[str, str]:
    name, _, tag = image.partition(":")
    return name, tag or "latest"


def _resolve(registry: Row, image: str) -> tuple[str, str | None]:
    """Return the repository and the digest of an image: by its digest, or by a tag that an import gave it."""
    repository, _, digest = image.partition("@")
    if digest:
        return repository, digest if _DIGEST.fullmatch(digest) else None
    repository, tag = _split(image)
    return repository, (registry.hidden.get("tags") or {}).get(f"{repository}:{tag}")


def _tag(row: Row, name: str, tag: str, digest: str, *, force: bool) -> None:
    tagged = row.hidden.setdefault("tags", {})
    if f"{name}:{tag}" in tagged and not force:
        raise conflict(
            "Conflict",
            f"Tag {name}:{tag} already exists in target registry and Mode 'NoForce' passed. If you would "
            "like to overwrite the tag, retry using Mode 'Force'.",
        )
    tagged[f"{name}:{tag}"] = digest
