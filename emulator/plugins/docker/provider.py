"""docker.Image: snapshots a build context as an image and records its push to an emulated registry.

Follows pulumi-docker 5: Check adds `build.contextDigest`, so that a changed file is a change of the image. It
takes no registry password (the login of whoever runs the deployment counts, and a password would land in the
state), and it serves no other type of the package.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

from emulator.arm.messages import Json
from emulator.plugins.diff import changes
from emulator.plugins.docker.context import BuildContext, ContextError
from emulator.plugins.docker.registry import Registries
from emulator.plugins.package import Checked, Difference, Failure, Found, Package, ProviderError, Resource
from emulator.snapshots import Snapshots
from pulumi_wire.values import UNKNOWN, Properties, has_unknown

IMAGE = "docker:index/image:Image"
PLATFORM = "linux/amd64"


class Docker(Package):
    """The package `docker`; `images` is the folder of the snapshots."""

    name = "docker"
    version = version("pulumi-docker")

    def __init__(self, directory: Path, registries: Registries, images: Path) -> None:
        super().__init__(directory)
        self._registries, self._snapshots = registries, Snapshots(images)

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        """Refuse what cannot be built or pushed; add the digest of the context."""
        if resource.token not in {IMAGE, "docker:image:Image"}:
            return Checked(
                inputs=new,
                failures=[
                    Failure(
                        "",
                        f"{resource.token} is not served by the emulated docker provider, which knows "
                        f"{IMAGE}. Add it in emulator/plugins/docker/provider.py.",
                    )
                ],
            )
        failures = _judge(new)
        build = new.get("build")
        if has_unknown(build) or not isinstance(build, dict | None):
            return Checked(inputs=new, failures=failures)
        try:
            digest = self._context(new).digest
        except ContextError as error:
            return Checked(inputs=new, failures=[*failures, Failure("build", f"{error}.")])
        return Checked(inputs=new | {"build": {**(build or {}), "contextDigest": digest}}, failures=failures)

    def diff(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Difference:
        """Any change is an update: the image is built and pushed again."""
        return Difference(changes=changes(old_inputs, new, lambda path, before, after: False))

    def create(self, resource: Resource, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Build and push."""
        if preview:
            return "", _outputs(inputs, UNKNOWN)
        digest = self._push(inputs)
        return f"sha256:{digest}", _outputs(inputs, digest)

    def update(
        self,
        resource: Resource,
        old_inputs: Properties,
        old_outputs: Properties,
        new: Properties,
        *,
        preview: bool,
    ) -> Properties:
        """Build and push again; the old image stays in the registry, as on Azure."""
        return _outputs(new, UNKNOWN if preview else self._push(new))

    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Forget the push, and the snapshot with the last push of it."""
        reference = _reference(resource, outputs)
        self._registries.forget(reference)
        self._snapshots.forget(reference)

    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Found:
        """Say whether the snapshot is still there; an image cannot be imported."""
        if not outputs:
            raise ProviderError(
                f"{resource.id}: the emulated docker provider cannot import an image; build it."
            )
        if not self._snapshots.has(_reference(resource, outputs)):
            return Found()
        return Found(id=resource.id, outputs=outputs, inputs=inputs)

    def _context(self, inputs: Properties) -> BuildContext:
        build = inputs.get("build") or {}
        return BuildContext.find(self.directory, build.get("context"), build.get("dockerfile"))

    def _push(self, inputs: Properties) -> str:
        """Return the digest (64 hex digits) of the image."""
        name, build = inputs["imageName"], inputs.get("build") or {}
        repository = _repository(name)
        try:
            context = self._context(inputs)
        except ContextError as error:
            raise ProviderError(f"{error}.") from error
        if not inputs.get("skipPush"):
            self._registries.refuse_closed(repository.partition("/")[0])
        identity = {key: build.get(key) for key in ("args", "platform", "target")}
        file = os.path.relpath(context.dockerfile, self.directory.resolve())  # the same in every clone
        digest = hashlib.sha256(
            json.dumps([context.digest, file, identity], sort_keys=True).encode()
        ).hexdigest()
        reference = f"{repository}@sha256:{digest}"
        image: Json = {
            "reference": reference,
            "name": name,
            "repository": repository,
            "digest": f"sha256:{digest}",
            "folder": f"sha256-{digest}",
            "args": build.get("args") or {},
            "platform": build.get("platform", PLATFORM),
            "target": build.get("target"),
        }
        self._snapshots.keep(image, lambda folder: context.copy(folder / "context"))
        if not inputs.get("skipPush"):
            self._registries.record(reference, image)
        return digest


def _judge(inputs: Properties) -> list[Failure]:
    failures = []
    registry, name = inputs.get("registry"), inputs.get("imageName")
    if isinstance(registry, dict) and "password" in registry:
        failures.append(
            Failure(
                "registry.password",
                "a registry password would be kept in the stack's state, and whoever reads that could push "
                "images. Leave it out: the login of whoever deploys counts (az acr login --name <registry>).",
            )
        )
    if name is None:
        failures.append(Failure("imageName", "missing required property 'imageName'"))
    elif isinstance(name, str) and "." not in name.partition("/")[0]:
        failures.append(
            Failure(
                "imageName",
                f"{name!r} names no registry, so it would go to Docker Hub, for all to see. Write "
                "<login server>/<repository>.",
            )
        )
    return failures


def _outputs(inputs: Properties, digest: object) -> Properties:
    name, build = inputs.get("imageName"), inputs.get("build") or {}
    known = isinstance(name, str)
    repository: object = _repository(name) if isinstance(name, str) else UNKNOWN
    build = build if isinstance(build, dict) else {}
    context = build.get("context", ".")
    reference: object = UNKNOWN
    if isinstance(digest, str) and known:
        reference = f"{repository}@sha256:{digest}"
    return {
        "baseImageName": name,
        "context": context,
        "dockerfile": build.get("dockerfile")
        or (UNKNOWN if context is UNKNOWN else str(Path(context) / "Dockerfile")),
        "imageName": name,
        "platform": build.get("platform", PLATFORM),
        "registryServer": str(repository).partition("/")[0] if known else UNKNOWN,
        **({} if inputs.get("skipPush") else {"repoDigest": reference}),
    }


def _repository(name: str) -> str:
    """Return an image name without tag and digest: ``server/path:tag`` -> ``server/path``."""
    server, slash, path = name.partition("@")[0].partition("/")
    return f"{server}{slash}{path.partition(':')[0]}"


def _reference(resource: Resource, outputs: Properties) -> str:
    return str(outputs.get("repoDigest") or f"{_repository(outputs['imageName'])}@{resource.id}")
