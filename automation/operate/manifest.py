"""A job's manifest in words: who asks, why, for which data, what is to leave."""

from collections.abc import Iterator

from workloads.fl_client.fed_site.manifest import BASE, Manifest

CROSS_SITE = "cross-site"
SCORING = "scoring"
"""Workflow of a model that predicts for its hospital (container_server/model_package.py)."""


def describe(manifest: Manifest) -> Iterator[str]:
    """Yield the lines that people read before they say yes or no."""
    yield f"{manifest.name}: {manifest.title}" if manifest.title else manifest.name
    yield f"  for        {manifest.purpose}"
    yield f"  asked by   {manifest.author}, as the centre states"
    if manifest.study:
        yield f"  study      {manifest.study}"
    for file, columns in manifest.data.items() or (("nothing that it names", ()),):
        yield f"  reads      {file}" + (f": {', '.join(columns)}" if columns else "")
    if manifest.box != BASE:
        yield f"  libraries  {manifest.box}"
    if manifest.memory_mb:
        yield f"  needs      {manifest.memory_mb} MB of memory"
    for what, names in _leaves(manifest):
        yield f"  sends      {what}: {', '.join(names)}"
    if manifest.workflow == SCORING:
        yield "  runs       here, when this hospital's people ask; nothing leaves"
        return
    counted = [f"{manifest.rounds} rounds"] * bool(manifest.rounds) + [f"{manifest.answers} answers"]
    how = ", ".join([manifest.workflow, *counted])
    yield f"  runs       {how}, at {manifest.minimum_sites} hospitals or more"
    if manifest.workflow == CROSS_SITE:
        yield "  shows      this hospital's model to the other hospitals, which measure it"


def _histogram(name: str, cells: int | None) -> str:
    return name if cells is None else f"{name} ({cells} cells)"


def _leaves(manifest: Manifest) -> Iterator[tuple[str, list[str]]]:
    """Yield what leaves with each answer: a kind and its names."""
    parts = {
        "a model's difference": [f"{name} ({shape} numbers)" for name, shape in manifest.model.items()],
        "metrics": list(manifest.metrics),
        "histograms": [_histogram(*one) for one in manifest.histograms.items()],
        "statistics of columns": list(manifest.statistics),
    }
    yield from ((what, names) for what, names in parts.items() if names)
