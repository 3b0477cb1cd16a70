"""Where the source of each container image is, relative to the repository's root."""

from collections.abc import Mapping
from dataclasses import dataclass
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
"""Repository name in the registry -> source."""
