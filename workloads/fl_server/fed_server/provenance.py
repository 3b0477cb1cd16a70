"""What made a run: code by checksum, image by digest, versions."""

import importlib.metadata
import os
import platform
from pathlib import Path

from fed_server.git_tree import git_tree

_OWN_CODE = git_tree(Path(__file__).parent)


def provenance(checksum: str) -> dict[str, str]:
    """`checksum` is that of the job's folder."""
    return {
        "job_checksum": checksum,
        "git_tree": _OWN_CODE,
        "image": os.environ.get("FED_IMAGE", "unknown"),
        "environment": os.environ.get("FED_ENVIRONMENT", "unknown"),
        "python": platform.python_version(),
        "nvflare": importlib.metadata.version("nvflare"),
        "numpy": importlib.metadata.version("numpy"),
    }
