"""Two VMs' boot texts for tests: the centre's and a hospital's, with their files and units read back."""

import base64
import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from components.boot import BootPlan, cloud_config, variable

REGISTRY = "crfeddev1a2b3c.azurecr.io"


DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def images(*names: str) -> dict[str, str]:
    """Image -> how the compose file names it, once compose has filled in its digest."""
    return {name: f"{REGISTRY}/{name}@{DIGEST}" for name in names}


def user_data(*names: str) -> str:
    """The base64 userData that names these images."""
    return base64.b64encode(json.dumps({"images": dict.fromkeys(names, DIGEST)}).encode()).decode()


CENTRE = BootPlan(
    party="centre",
    role="centre",
    environment="dev",
    fl_host="fl.federation.internal",
    fl_address="10.0.0.4",
    fl_port=8002,
    identity_client_id="11111111-2222-3333-4444-555555555555",
    hub_storage_url="https://stfedcentre1a2b.blob.core.windows.net",
    own_storage_url=None,
    registry=REGISTRY,
    approval="auto",
)
HOSPITAL = dataclasses.replace(
    CENTRE,
    party="va-long-beach",
    role="hospital",
    own_storage_url="https://stfedva1a2b.blob.core.windows.net",
    approval="manual",
)
PLANS = pytest.mark.parametrize("plan", [CENTRE, HOSPITAL], ids=["centre", "hospital"])


def config_of(plan: BootPlan) -> Any:
    return yaml.safe_load(cloud_config(plan))


def file_of(plan: BootPlan, path: str) -> str:
    return str(next(file["content"] for file in config_of(plan)["write_files"] if file["path"] == path))


def compose_text(plan: BootPlan) -> str:
    """The compose file as Docker sees it, with the digests of `images.env`."""
    text = file_of(plan, "/opt/fed/compose.yaml")
    for image in plan.images:
        text = text.replace(f"${{{variable(image)}}}", DIGEST)
    return text


def compose_of(plan: BootPlan) -> Any:
    return yaml.safe_load(compose_text(plan))


SYSTEMD = "/etc/systemd/system/"

Settings = Mapping[str, list[str]]
"""``Section.Key`` -> its values, in order."""


def units_of(plan: BootPlan) -> dict[str, Settings]:
    """Unit -> the settings that the text gives it: its own file, or the drop-in to a unit of a package."""
    units: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in config_of(plan)["write_files"]:
        if file["path"].startswith(SYSTEMD):
            name = file["path"].removeprefix(SYSTEMD).partition(".d/")[0]
            _read(file["content"], into=units[name])
    return {name: dict(settings) for name, settings in units.items()}


def _read(text: str, into: dict[str, list[str]]) -> None:
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            into[f"{section}.{key}"].append(value)


def after(units: Mapping[str, Settings], unit: str) -> set[str]:
    """All units that systemd starts before this one, where both are to start."""
    before = {(other, name) for name, settings in units.items() for other in _words(settings, "Unit.Before")}
    return _reached(
        unit,
        lambda name: {
            *_words(units.get(name, {}), "Unit.After"),
            *(earlier for later, earlier in before if later == name),
        },
    )


def requires(units: Mapping[str, Settings], unit: str) -> set[str]:
    """All units without which this one does not start."""
    return _reached(unit, lambda name: set(_words(units.get(name, {}), "Unit.Requires")))


def _words(settings: Settings, key: str) -> list[str]:
    return [word for value in settings.get(key, []) for word in value.split()]


def _reached(start: str, following: Callable[[str], set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = following(start)
    while waiting:
        found |= waiting
        waiting = {more for name in waiting for more in following(name)} - found
    return found
