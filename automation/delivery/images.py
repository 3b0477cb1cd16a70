"""Which images a stack runs, by digest, and how the same digests reach the next stack.

An image is built once, in dev. From there it is imported, registry to registry, inside Azure: into the
registry of released images once the scanners have passed it, and from there into the closed registries of mvp
and prod. A digest names the content, so what runs in prod is what ran in dev.

Import works on registries without public access and keeps digests:
https://learn.microsoft.com/azure/container-registry/container-registry-import-images
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from automation.stacks.arm import Arm
from automation.ui.outcome import FedError, QuestionError
from components.boot import IMAGES, box_image

API_VERSION = "2023-01-01-preview"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Images(BaseModel):
    """The images of one stack: the ARM id of the registry that holds them, and name -> digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    registry: str
    login_server: str
    images: Mapping[str, str]
    commit: str | None = None

    def reference(self, name: str) -> str:
        """Return what `docker pull` takes."""
        return f"{self.login_server}/{name}@{self.images[name]}"


def read(path: Path) -> Images:
    """Read what `./fed images list --json` wrote; raises QuestionError when it is something else."""
    try:
        found = Images.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError) as error:
        raise QuestionError(
            f"{path} is not what `./fed images list STACK --json` writes ({error}): nobody would know which "
            "digests to promote."
        ) from error
    _require_all(found.images, path)
    return found


def _require_all(images: Mapping[str, str], path: Path) -> None:
    """Refuse a file that leaves an image out, names another, or names one by anything but its digest."""
    wrong = wrong_names(images) or [
        name for name, digest in sorted(images.items()) if not DIGEST.fullmatch(digest)
    ]
    if wrong:
        raise QuestionError(
            f"{path} does not name exactly the images {', '.join(sorted(IMAGES))}, each with its digest "
            f"(wrong: {', '.join(wrong)}): what is left out would be neither scanned nor promoted. Write it "
            "again with `./fed images list STACK --json`."
        )


def wrong_names(images: Iterable[str]) -> list[str]:
    """Names that are missing, or are neither an image of every stack nor one of a box."""
    boxes = {name for name in images if name.startswith(box_image(""))}
    return sorted((set(images) - boxes) ^ set(IMAGES))


def from_reference(reference: str) -> tuple[str, str, str]:
    """``server/name@sha256:...`` (a tag in between is left out) as (server, name, digest)."""
    server, _, rest = reference.partition("/")
    name, _, digest = rest.partition("@")
    if not DIGEST.fullmatch(digest):
        raise FedError(f"{reference} names no digest: a tag may mean another image tomorrow.")
    return server, name.partition(":")[0], digest


def import_image(arm: Arm, source: str, target: str, name: str, digest: str) -> bool:
    """Copy one image by digest between registries (ARM ids); False when it is already there.

    The tag holds the digest: it never moves, and keeps the image from counting as untagged.

    Raises:
        FedError: with Azure's refusal.
    """
    body = {
        "source": {"resourceId": source, "sourceImage": f"{name}@{digest}"},
        "targetTags": [f"{name}:{tag(digest)}"],
        "mode": "NoForce",
    }
    answer = arm.post(f"{target}/importImage", API_VERSION, body)
    if answer.status == 409 and "Conflict" in answer.error:
        return False
    if answer.is_error:
        raise FedError(
            f"{name}@{digest} could not be imported from {_short(source)} into {_short(target)}: "
            f"{answer.error}. Nothing was deployed. If the source no longer has it, promote the digests of a "
            "newer run of main."
        )
    return True


def tag(digest: str) -> str:
    """Return the tag under which a digest is kept."""
    return digest.replace(":", "-")


def registry_of(arm: Arm, subscription: str, group: str) -> tuple[str, str] | None:
    """(ARM id, login server) of the one registry of a resource group; None when there is none yet.

    A stack's registry has a random suffix in its name, so it is found where it must be.
    """
    scope = f"/subscriptions/{subscription}/resourceGroups/{group}"
    answer = arm.get(f"{scope}/providers/Microsoft.ContainerRegistry/registries", API_VERSION)
    if answer.status == 404:
        return None
    if answer.is_error:
        raise FedError(f"The registries of {group} cannot be listed: {answer.error}.")
    found = answer.body.get("value", [])
    if len(found) > 1:
        names = ", ".join(str(entry["name"]) for entry in found)
        raise FedError(
            f"{group} holds more than one registry ({names}): which one the stack uses is unclear."
        )
    return (str(found[0]["id"]), str(found[0]["properties"]["loginServer"])) if found else None


def _short(resource: str) -> str:
    return resource.rsplit("/", 1)[-1]
