"""Where the source of each container image is, relative to the repository's root."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """One image: its build context (a folder) and its Dockerfile (below or next to the context)."""

    context: str
    dockerfile: str


# Dockerfile.dockerignore narrows the context `workloads`.
IMAGES: Mapping[str, ImageSource] = MappingProxyType(
    {
        "container-server": ImageSource(
            context="workloads", dockerfile="workloads/container_server/Dockerfile"
        ),
        "fl-client": ImageSource(context="workloads/fl_client", dockerfile="workloads/fl_client/Dockerfile"),
        "fl-server": ImageSource(context="workloads", dockerfile="workloads/fl_server/Dockerfile"),
        "mlflow": ImageSource(context="workloads", dockerfile="workloads/mlflow/Dockerfile"),
    }
)
"""Repository name in the registry -> source: what every stack builds."""


def box_image(box: str) -> str:
    """Return the image of a box, which is also its repository's name in the registry."""
    return f"box-{box}"


_WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"


def _boxes(workloads: Path) -> dict[str, ImageSource]:
    return {
        box_image(file.parent.name): ImageSource(
            context="workloads", dockerfile=f"workloads/boxes/{file.parent.name}/Dockerfile"
        )
        for file in sorted(workloads.glob("boxes/*/Dockerfile"))
    }


BOXES: Mapping[str, ImageSource] = MappingProxyType(_boxes(_WORKLOADS))
"""The boxes that this repository has (docs/adr/0098); a stack builds those of its `fed:images.boxes`."""


@cache
def nvflare_version() -> str:
    """Return the version of NVFlare in the images of this repository: all three pin the same."""
    pinned = (_WORKLOADS / "fl_server" / "requirements.txt").read_text()
    found = re.search(r"^nvflare==(\S+)", pinned, re.MULTILINE)
    if found is None:
        raise ValueError("workloads/fl_server/requirements.txt pins no nvflare")
    return found[1]
