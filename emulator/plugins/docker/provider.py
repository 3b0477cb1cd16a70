"""docker.Image: snapshots a build context as an image and records its push to an emulated registry.

Where machines are real (docs/adr/0048) it is built, too: its digest is then that of its manifest.

Follows pulumi-docker 5: Check adds `build.contextDigest`, so that a changed file is a change of the image. It
takes no registry password (the login of whoever runs the deployment counts, and a password would land in the
state), and it serves no other type of the package.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from emulator.arm.messages import Json
from emulator.guest import containers
from emulator.guest.containers import Containers
from emulator.guest.store import GuestError
from emulator.plugins.diff import changes
from emulator.plugins.docker.context import BuildContext, ContextError
from emulator.plugins.docker.registry import Registries
from emulator.plugins.package import Checked, Difference, Failure, Found, Package, ProviderError, Resource
from emulator.snapshots import LAYERS, Snapshots
from pulumi_wire.values import UNKNOWN, Properties, has_unknown

IMAGE = "docker:index/image:Image"
PLATFORM = "linux/amd64"


class Docker(Package):
    """The package `docker`; `images` is the folder of the snapshots."""

    name = "docker"
    version = version("pulumi-docker")

    def __init__(
        self,
        directory: Path,
        registries: Registries,
        images: Path,
        builder: Callable[[str], Containers | None] = lambda _: None,
    ) -> None:
        """`builder` gives what builds an image (by its name) for real machines, None where none runs it."""
        super().__init__(directory)
        self._registries, self._snapshots, self._builder = registries, Snapshots(images), builder

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
            if self._builder(_name(new)):  # the same files give another image
                digest = hashlib.sha256(f"built {digest}".encode()).hexdigest()
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
        file = os.path.relpath(context.dockerfile, self.directory.resolve())  # the same in every clone
        identity = {key: build.get(key) for key in ("args", "platform", "target")}
        mark = json.dumps([context.digest, file, identity], sort_keys=True)
        layers = self._built(context, inputs, mark)
        digest = containers.digest(layers) if layers else hashlib.sha256(mark.encode()).hexdigest()
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
        self._snapshots.keep(image, lambda folder: _fill(folder, context, layers))
        if not inputs.get("skipPush"):
            self._registries.record(reference, image)
        return digest

    def _built(self, context: BuildContext, inputs: Properties, mark: str) -> Path | None:
        """Return the folder of the image, really built; None where no real machine runs it."""
        builder, arguments = self._builder(_name(inputs)), (inputs.get("build") or {}).get("args") or {}
        if builder is None:
            return None
        with tempfile.TemporaryDirectory(prefix="fed-build-") as folder:
            context.copy(Path(folder) / "context")
            try:
                return builder.build(Path(folder) / "context", context.dockerfile, arguments, mark)
            except GuestError as failed:
                raise ProviderError(str(failed)) from failed


def _fill(folder: Path, context: BuildContext, layers: Path | None) -> None:
    """Put into a snapshot's folder what it was built from, and the image where one was built."""
    context.copy(folder / "context")
    if layers is not None:
        shutil.copytree(layers, folder / LAYERS)


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


def _name(inputs: Properties) -> str:
    """Return an image's name without its registry; none where that is not known yet."""
    name = inputs.get("imageName")
    return _repository(name).partition("/")[2] if isinstance(name, str) else ""


def _reference(resource: Resource, outputs: Properties) -> str:
    return str(outputs.get("repoDigest") or f"{_repository(outputs['imageName'])}@{resource.id}")
