"""The container images of a stack, each by digest: built from this repository in dev, pinned everywhere else.

The same digest runs in every stack: mvp and prod import what dev built (`./fed images promote`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

import pulumi
import pulumi_docker as docker

from components.boot import BOXES, IMAGES, ImageSource, box_image
from components.context import Context
from components.registry import Registry
from federation.parties import CentreParty

PLATFORM: Final = "linux/amd64"


class UnknownBoxError(ValueError):
    """A box that the stack names and this repository cannot build."""

    def __init__(self, box: str) -> None:
        known = ", ".join(sorted(path.removeprefix("box-") for path in BOXES))
        super().__init__(
            f"fed:images.boxes names {box}, and there is no workloads/boxes/{box}/Dockerfile: jobs that ask "
            f"for it could not run. Fix: name one of {known}, or add its folder"
        )


@dataclass(frozen=True, kw_only=True)
class ImagesArgs:
    """`docker` is None where nothing is built."""

    context: Context[CentreParty]
    registry: Registry
    docker: docker.Provider | None


@dataclass(frozen=True, kw_only=True)
class ImagesResources:
    """The images that were built; empty where they are pinned."""

    built: Mapping[str, docker.Image]


@final
class Images(pulumi.ComponentResource):
    """`references` has `<login server>/<repository>@sha256:<hex>` of each image by its name."""

    def __init__(self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:Images", name, None, opts)
        self._args = args
        build = args.docker is not None
        self.resources = ImagesResources(
            built={image: self._build(image, source) for image, source in self._sources()} if build else {}
        )
        self.references: Mapping[str, pulumi.Output[str]] = (
            {image: built.repo_digest for image, built in self.resources.built.items()}
            if build
            else self._pinned()
        )
        self.register_outputs({"references": self.references})

    def _sources(self) -> Iterator[tuple[str, ImageSource]]:
        """Yield what is built: the VMs' images and the boxes of the stack. Raises UnknownBoxError."""
        yield from IMAGES.items()
        for box in self._args.context.settings.images.boxes:
            if box_image(box) not in BOXES:
                raise UnknownBoxError(box)
            yield box_image(box), BOXES[box_image(box)]

    def _build(self, image: str, source: ImageSource) -> docker.Image:
        """Credentials are the ambient docker login (`az acr login`): the program holds none."""
        context = self._args.context
        return docker.Image(
            context.names.label("image", image),
            image_name=self._reference(f"{image}:{context.names.stack}"),
            build=docker.DockerBuildArgs(
                context=source.context, dockerfile=source.dockerfile, platform=PLATFORM
            ),
            opts=pulumi.ResourceOptions(
                parent=self, provider=self._args.docker, depends_on=[self._args.registry.resources.registry]
            ),
        )

    def _pinned(self) -> Mapping[str, pulumi.Output[str]]:
        digests = self._args.context.settings.images.digests
        return {image: self._reference(f"{image}@{digest}") for image, digest in digests.items()}

    def _reference(self, image: str) -> pulumi.Output[str]:
        return self._args.registry.login_server.apply(lambda server: f"{server}/{image}")
