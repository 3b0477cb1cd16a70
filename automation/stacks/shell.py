"""What turns a shell towards the emulator and back, as lines that any POSIX shell can evaluate."""

import os
import shlex
from pathlib import Path

from pulumi.automation import LocalWorkspace

from automation.machine.search_path import without_added
from automation.stacks.arm import of_emulator
from automation.stacks.engine import Engine
from automation.stacks.target import OWN_HOME, ROOT, emulator_environment
from clone import paths
from emulator import azure_cli
from emulator.control import Emulator
from emulator.record import Record

FIRST = "dev"
"""The stack that a shell starts with, where `pulumi` is not told one."""


def export_lines() -> list[str]:
    """Start the emulator, make sure that it has every stack of the repository, and return the exports."""
    engine, emulator = Engine(), Emulator.ensure()
    environment = emulator_environment(emulator, engine)
    if environment["FED_HOME"] == str(ROOT / ".fed"):
        del environment["FED_HOME"]  # the default; in the shell it would bind other clones, too
    _make_stacks(LocalWorkspace(work_dir=str(ROOT), pulumi_command=engine, env_vars=environment))
    environment["PATH"] = without_added(environment["PATH"])
    environment |= _azure_cli(emulator)
    return [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]


def unset_lines() -> list[str]:
    """Return the lines that take back what `export_lines` set; needs neither engine nor emulator."""
    ours = {str(ROOT / "emulator" / "plugins" / "bin"), str(ROOT / "engine" / "bin")}
    ours |= {str(folder) for folder in (paths.cache() / "engine").glob("*")}
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder not in ours]
    nowhere = Record(pid=0, started=0, plugins="", arm="", socket="", backend="", code="")
    names = {*Emulator(ROOT, paths.home(), nowhere).environment(), *OWN_HOME, *azure_cli.VARIABLES}
    names -= {"PATH", "FED_HOME"}
    return [
        f"export PATH={shlex.quote(without_added(os.pathsep.join(folders)))}",
        *(f"unset {name}" for name in sorted(names)),
    ]


def _azure_cli(emulator: Emulator) -> dict[str, str]:
    """Let plain `az` speak to the emulator, with the subscriptions that it has now."""
    folder = emulator.home / paths.emulator().relative_to(paths.home()) / "azure-cli"
    paths.private_folder(folder)
    known = of_emulator(emulator).get("/subscriptions", "2022-12-01").body["value"]
    key = emulator.home / paths.token_key().relative_to(paths.home())
    return azure_cli.prepare(
        folder,
        arm=emulator.record.arm,
        authority=emulator.authority(),
        key=key.read_bytes(),
        subscriptions=[one["subscriptionId"] for one in known],
    )


def _make_stacks(workspace: LocalWorkspace) -> None:
    wanted = {file.name.split(".")[1] for file in Path(ROOT).glob("Pulumi.*.yaml")}
    missing = wanted - {stack.name for stack in workspace.list_stacks()}
    for name in sorted(missing):
        workspace.create_stack(name)
    if missing and FIRST in wanted:  # a stack that is made is selected
        workspace.select_stack(FIRST)
