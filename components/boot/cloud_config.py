"""Renders a `BootPlan` as cloud-config: the files in templates/, where each goes, and the units to enable."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.boot.plan import BootPlan, variable

MAX_CUSTOM_DATA_BYTES = 65_535
"""Azure's limit for customData before base64 (learn.microsoft.com/azure/virtual-machines/custom-data)."""

PACKAGES = ("docker.io", "docker-compose-v2", "nftables")
"""From the distribution's archive: reached and patched like the rest of the system. See `start-docker`."""

ENGINE_GROUP = 10002
"""Owns Docker's socket. systemd starts no socket whose group is not in /etc/group, not even by its number."""

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class _File:
    """A file of the VM: where it goes, the template it comes from, its mode."""

    path: str
    template: str
    permissions: str = "0644"


_EVERY_VM = (
    _File("/opt/fed/start-docker", "start-docker", "0755"),
    _File("/opt/fed/mount-data-disk", "mount-data-disk", "0755"),
    _File("/opt/fed/first-images", "first-images", "0755"),
    _File("/opt/fed/change-images", "change-images", "0755"),
    _File("/opt/fed/docker/config.json", "docker-config.json"),
    _File("/usr/local/bin/docker-credential-fed", "docker-credential-fed", "0755"),
    _File("/etc/docker/daemon.json", "daemon.json"),
    _File("/etc/systemd/system/docker.socket.d/fed.conf", "docker-socket.conf"),
    _File("/etc/systemd/system/docker.service.d/fed.conf", "docker-service.conf"),
    _File("/etc/systemd/system/fed-docker.service", "fed-docker.service"),
    _File("/etc/systemd/system/fed-data-disk.service", "fed-data-disk.service"),
    _File("/etc/systemd/system/fed-containers.service", "fed-containers.service"),
    _File("/etc/systemd/system/fed-images.service", "fed-images.service"),
    _File("/etc/systemd/system/fed-images.path", "fed-images.path"),
)
_CENTRE = (_File("/opt/fed/compose.yaml", "compose-centre.yaml"),)
_HOSPITAL = (
    _File("/opt/fed/compose.yaml", "compose-hospital.yaml"),
    _File("/opt/fed/client-network.nft", "client-network.nft"),
    _File("/etc/systemd/system/fed-client-network.service", "fed-client-network.service"),
)
_GPU = (
    _File("/opt/fed/start-gpu", "start-gpu", "0755"),
    _File("/etc/systemd/system/fed-gpu.service", "fed-gpu.service"),
)

_NO_DOCKER = "fed: no Docker after 20 minutes. Fix: see journalctl -u fed-docker -u fed-data-disk -u docker"
_COMMANDS = [
    ["systemctl", "daemon-reload"],
    ["systemctl", "enable", "fed-containers.service", "fed-images.path"],
    # An image that brings Docker has started it without the settings above.
    ["systemctl", "stop", "docker.socket", "docker.service"],
    ["systemctl", "start", "--no-block", "fed-containers.service", "fed-images.path"],
    # The last command's exit code is the boot's: cloud-init ends with an error, the serial log says why.
    [
        "sh",
        "-c",
        "timeout 1200 sh -c 'until systemctl is-active --quiet docker.service; do sleep 10; done'"
        f" || {{ echo '{_NO_DOCKER}' >&2; exit 1; }}",
    ],
]


def cloud_config(plan: BootPlan) -> str:
    """Return the VM's `#cloud-config`, UTF-8, below MAX_CUSTOM_DATA_BYTES; the same plan gives the
    same text.
    """
    config = {
        # At each boot, before anything starts Docker's socket.
        "bootcmd": [["sh", "-c", f"getent group {ENGINE_GROUP} || groupadd --gid {ENGINE_GROUP} fed-engine"]],
        "write_files": [
            {"path": file.path, "permissions": file.permissions, "content": _render(file.template, plan)}
            for file in (
                *_EVERY_VM,
                *(_HOSPITAL if plan.is_hospital else _CENTRE),
                *(_GPU if plan.gpus else ()),
            )
        ],
        "runcmd": _COMMANDS,
    }
    return "#cloud-config\n" + yaml.dump(config, Dumper=_BlockText, sort_keys=False, width=1_000)


def _render(template: str, plan: BootPlan) -> str:
    hub_host = urlsplit(plan.hub_storage_url).netloc
    return (
        _templates()
        .get_template(template)
        .render(
            plan=plan,
            hub_host=hub_host,
            engine_group=ENGINE_GROUP,
            packages=PACKAGES,
            variables={name: variable(name) for name in plan.images},
        )
    )


@cache
def _templates() -> Environment:
    """Jinja's environment, which keeps the templates that it has compiled."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - plain text for a VM, no HTML; BootPlan holds each value to safe characters
    )


class _BlockText(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a person can read the custom data."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockText.add_representer(str, _represent_text)
