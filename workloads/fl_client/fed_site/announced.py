"""What the job that runs here announced in its manifest, for the airlock: other names stay and are noted."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nvflare.apis.fl_context import FLContext

from fed_site.manifest import FILE, Manifest, printable

MOST_NOTED = 20
LONGEST_NOTED = 40


def manifest_of(fl_ctx: FLContext) -> Manifest:
    """The manifest of the job that was approved and unpacked. Raises OSError or UnreadableManifestError."""
    workspace = fl_ctx.get_engine().get_workspace()
    return Manifest.read((Path(workspace.get_app_dir(fl_ctx.get_job_id())) / FILE).read_bytes())


def among(given: Any, names: Collection[str]) -> Any:
    """The entries of a table that were announced; anything else unchanged."""
    return {name: given[name] for name in given if name in names} if isinstance(given, Mapping) else given


def others(given: Any, names: Collection[str]) -> list[str]:
    """The first names of a table that were not announced, cut."""
    strange = [str(name) for name in given if name not in names] if isinstance(given, Mapping) else []
    return [printable(name)[:LONGEST_NOTED] for name in sorted(strange)[:MOST_NOTED]]
