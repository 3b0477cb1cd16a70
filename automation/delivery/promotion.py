"""Brings the images of one stack to the next: which digests, from which registry, into which."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automation.delivery.images import Images, from_reference, import_image, registry_of, wrong_names
from automation.delivery.pins import BEFORE, pinned, require_tried
from automation.delivery.steps import git_commit
from automation.hospitals.stack_file import StackFile
from automation.stacks.arm import Arm
from automation.ui.console import say
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from components.boot import BOXES, IMAGES, box_image
from federation.parties import federation
from federation.stack_file import load_stack, stack_file
from infra import settings as delivery_settings

BUILT = "docker:index/image:Image"
PLATFORM = "linux/amd64"


def images_of(stack: str, arm: Arm, exported: Mapping[str, Any]) -> Images:
    """Return the images that `stack` runs: built by its last deployment, or pinned in its file.

    Raises:
        RefusedError: when it was never deployed.
        FedError: when it built no image.
    """
    found = stack_registry(stack, arm)
    if found is None:
        raise RefusedError(
            f"{stack} has no registry yet, so it runs no image: deploy it first (./fed up {stack})."
        )
    digests = pinned(stack) or _built(exported)
    if not digests:
        raise FedError(f"{stack} neither pins nor built an image: nothing could be promoted.")
    return Images(stack=stack, registry=found[0], login_server=found[1], images=digests, commit=git_commit())


def stack_registry(stack: str, arm: Arm) -> tuple[str, str] | None:
    """(ARM id, login server) of a stack's registry; None before its first deployment."""
    centre = federation(load_stack(paths.REPOSITORY, stack)).centre
    return registry_of(arm, centre.subscription_id, centre.names.of("rg"))


def released() -> str:
    """Return the ARM id of the registry of released images."""
    return delivery_settings.read(paths.REPOSITORY).registry_id


def source_registry(stack: str, on: On, arm: Arm) -> str:
    """Where the images of `stack` come from: on Azure the released ones, on the emulator the stack before."""
    if on is On.AZURE:
        return released()
    found = stack_registry(BEFORE[stack], arm)
    if found is None:
        raise FedError(f"{BEFORE[stack]} has no registry here to import from: ./fed up {BEFORE[stack]}")
    return found[0]


def pin(stack: str, digests: Mapping[str, str]) -> StackFile:
    """Pin the images of `stack` in its file; the file is not written yet.

    Raises:
        QuestionError: when an image is missing or unknown, or the stack builds its own.
        RefusedError: when prod would pin what mvp does not.
    """
    if wrong := wrong_names(digests):
        raise QuestionError(
            f"{stack} runs exactly the images {', '.join(sorted(IMAGES))}, and {box_image('<name>')} for "
            f"each of its boxes (wrong: {', '.join(wrong)}); to be pinned were "
            f"{', '.join(sorted(digests)) or 'none'}."
        )
    if stack not in BEFORE:
        raise QuestionError(f"{stack} builds its images itself; pinned are those of {' and '.join(BEFORE)}.")
    if stack == "prod":
        require_tried(digests)
    file = StackFile(stack_file(paths.REPOSITORY, stack))
    file.pin(digests)
    file.settings()
    return file


def bring(stack: str, digests: Mapping[str, str], on: On, arm: Arm) -> None:
    """Import `digests` into the registry of `stack`, as far as they are not there.

    Raises:
        RefusedError: when they are for prod, and mvp does not pin the same.
    """
    if stack == "prod":
        require_tried(digests)
    target = stack_registry(stack, arm)
    if target is None:
        say(f"{stack} has no registry yet: nothing to import before its first deployment.")
        return
    source = source_registry(stack, on, arm)
    copy(digests, source, target[0], arm)


def copy(digests: Mapping[str, str], source: str, target: str, arm: Arm) -> None:
    """Import images by digest from one registry (ARM id) into another."""
    for name, digest in sorted(digests.items()):
        new = import_image(arm, source, target, name, digest)
        say(f"{name} {digest}: {'imported' if new else 'already there'}")


def build(name: str) -> None:
    """Build one image of this working tree as ``local/<name>``, as the deployment of dev does."""
    known = {**IMAGES, **BOXES}
    if name not in known:
        raise QuestionError(f"there is no image {name}; there are {', '.join(sorted(known))}")
    source = known[name]
    _docker(
        [
            "build",
            "--platform",
            PLATFORM,
            "--file",
            source.dockerfile,
            "--tag",
            f"local/{name}",
            source.context,
        ]
    )


def save(images: Images, folder: Path) -> None:
    """Pull images by digest and write each as ``<name>.tar``, in which it is called ``local/<name>``."""
    folder = folder.resolve()  # docker runs in the clone, which need not be the caller's folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QuestionError(
            f"--into {folder} cannot be made a folder ({error.strerror}), so no image could be saved. Name "
            "another."
        ) from None
    for name in sorted(images.images):
        _docker(["pull", images.reference(name)])
        _docker(["tag", images.reference(name), f"local/{name}"])
        _docker(["save", "--output", str(folder / f"{name}.tar"), f"local/{name}"])


def _built(exported: Mapping[str, Any]) -> dict[str, str]:
    resources = (exported.get("deployment") or exported).get("resources") or []
    references = [
        str(resource["outputs"]["repoDigest"])
        for resource in resources
        if resource.get("type") == BUILT and (resource.get("outputs") or {}).get("repoDigest")
    ]
    return {name: digest for _, name, digest in map(from_reference, references)}


def _docker(arguments: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 the user's own docker
            ["docker", *arguments],  # noqa: S607
            cwd=paths.REPOSITORY,
            check=False,
        )
    except FileNotFoundError:
        raise FedError("there is no docker here: images are built and pulled with it.") from None
    if done.returncode:
        raise FedError(f"docker {' '.join(arguments)} ended with {done.returncode}.")
