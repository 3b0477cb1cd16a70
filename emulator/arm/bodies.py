"""What is checked of every body, whatever its type: location, tags, what may not change, what must be
there."""

from __future__ import annotations

from typing import Any

from emulator.arm import regions
from emulator.arm.catalogue import Place, same_value, take_at
from emulator.arm.context import Write
from emulator.arm.errors import bad_request, conflict
from emulator.arm.refusals import missing_value


def drop_answers(write: Write) -> None:
    """Drop what answers carry and requests may repeat."""
    for name in ("id", "name", "type", "etag", "systemData"):
        write.body.pop(name, None)  # of bodies without a property list
    if not isinstance(write.body.get("properties"), dict):
        write.body.pop("properties", None)
    write.properties.pop("provisioningState", None)


def place(write: Write) -> None:
    """Check and normalise the location."""
    type_, body = write.type, write.body
    if type_.place is Place.NONE:
        if not type_.schema:
            body.pop("location", None)
        return
    location = body.get("location") or (write.old.location if write.old else None)
    if not isinstance(location, str) or not location.strip():
        raise bad_request("LocationRequired", "The location property is required for this definition.")
    location = regions.normalise(location)
    allowed = {
        Place.REGION: regions.REGIONS,
        Place.GLOBAL: ("global",),
        Place.ANY: ("global", *regions.REGIONS),
    }[type_.place]
    if location not in allowed:
        if type_.key == "microsoft.resources/resourcegroups":
            raise bad_request(
                "LocationNotAvailableForResourceGroup",
                f"The provided location '{body.get('location')}' is not available for resource group. "
                f"List of available regions is '{','.join(allowed)}'.",
            )
        raise bad_request(
            "LocationNotAvailableForResourceType",
            f"The provided location '{body.get('location')}' is not available for resource type "
            f"'{type_.name}'. "
            f"List of available regions for the resource type is '{','.join(allowed)}'.",
        )
    if write.old and write.old.location not in {None, location}:
        if type_.key == "microsoft.resources/resourcegroups":
            raise conflict(
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in "
                "location "
                f"'{write.old.location}'.",
            )
        raise conflict(
            "InvalidResourceLocation",
            f"The resource '{write.id.name}' already exists in location '{write.old.location}' in resource "
            "group "
            f"'{write.id.group}'. A resource with the same name cannot be created in location '{location}'. "
            "Please select a new resource name.",
        )
    body["location"] = location


def check_tags(write: Write) -> None:
    """Hold tags to their limits."""
    tags = write.body.get("tags")
    if not write.type.tags or tags is None:
        return
    longest = 128 if write.type.namespace == "Microsoft.Storage" else 512
    if len(tags) > 50:
        raise bad_request("TooManyTags", f"The resource has {len(tags)} tags; the limit is 50.")
    if len({name.lower() for name in tags}) < len(tags):
        raise bad_request(
            "InvalidRequestContent",
            f"The request content was invalid: of the tags {', '.join(tags)} two differ by case alone.",
        )
    for name, value in tags.items():
        if not name or len(name) > longest or any(letter in "<>%&\\?/" for letter in name):
            raise bad_request(
                "InvalidTagName",
                f"The tag name '{name}' is invalid: up to {longest} characters, none of '<>%&\\?/'.",
            )
        if len(value) > 256:
            raise bad_request("InvalidTagValueLength", f"The value of tag '{name}' exceeds 256 characters.")


def hide(write: Write) -> None:
    """Move what is never answered out of the body; what is not sent again stays."""
    before = write.old.hidden if write.old else {}
    write.hidden = dict(before)
    for path in write.type.write_only:
        value = take_at(write.body, path)
        if value is not None:
            write.hidden[path] = value


def keep_fixed(write: Write) -> None:
    """Refuse changes of what is fixed; what is not sent again stays."""
    if write.old is None:
        return
    for fixed in write.type.fixed:
        old, new = write.before(fixed.path), write.get(fixed.path)
        if new is None:
            if old is not None:
                write.settle(fixed.path, old)
        elif not _repeats(old, new):
            raise fixed.error(fixed.path.removeprefix("properties."))


def _repeats(old: Any, new: Any) -> bool:
    """Say whether a value repeats what is there; a new object may leave out what Azure has filled in."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(_repeats(old.get(name), value) for name, value in new.items() if value is not None)
    return same_value(old, new)


def require(write: Write) -> None:
    """Refuse a body without what the provider needs."""
    for path in write.type.required:
        if write.get(path) in (None, "", [], {}):
            raise missing_value(write.type, path)
