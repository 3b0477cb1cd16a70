"""A stack and the place where it lives: the one way in which commands reach Pulumi.

On the emulator everything that decides where a resource goes is set: the emulator's own backend, its own
plugins first on PATH, its own PULUMI_HOME, so that neither a login nor a downloaded provider of the user can
take part. On Azure it is the other way round: the user's own login and backend, nothing of the emulator.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pulumi.automation import CommandError, LocalWorkspace, Stack, StackNotFoundError

from automation.stacks.arm import Arm, of_azure, of_emulator
from automation.stacks.engine import Engine
from automation.ui.lazily import lazily
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from federation.naming import PROJECT
from federation.settings import Settings
from federation.stack_file import load_stack, stack_file

with lazily():
    from automation.stacks import emulated_state
    from emulator import control

ROOT = paths.REPOSITORY
OWN_HOME = ("PULUMI_HOME", "PULUMI_IGNORE_AMBIENT_PLUGINS")
"""What keeps a user's own logins and downloaded providers out of an emulated deployment."""
NO_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
"""Save an emulated state once, at the end, and not twice for every resource: that takes a sixth of the
engine's CPU time. A run that is killed before is resumed from the emulator itself (docs/adr/0043)."""
_MANY = 20
"""Hospitals of a stack whose engine holds more than everything else of a command together."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One stack at one place.

    `environment` is what Pulumi needs there; `emulator` is None on Azure, `settings` where nobody needs them.
    """

    name: str
    on: On
    settings: Settings | None
    engine: Engine
    environment: Mapping[str, str]
    workspace: LocalWorkspace
    emulator: control.Emulator | None

    @property
    def hospitals(self) -> tuple[str, ...]:
        """The hospitals in the stack's settings, none where nobody needs them."""
        return tuple(self.settings.hospitals) if self.settings else ()

    def stack(self) -> Stack:
        """Return the stack; make an empty one where there is none yet."""
        if self.emulator:
            return emulated_state.EmulatedStack.made(self.name, self.workspace, self.emulator)
        return Stack.create_or_select(self.name, self.workspace)

    def existing_stack(self) -> Stack | None:
        """Return the stack, None where there is none."""
        if self.emulator:
            return emulated_state.EmulatedStack.existing(self.name, self.workspace, self.emulator)
        try:
            return Stack.select(self.name, self.workspace)
        except StackNotFoundError:
            return None

    def arm(self) -> Arm:
        """Return a client of Resource Manager: the emulator's, or Azure's as the user who is logged in."""
        return of_emulator(self.emulator) if self.emulator else of_azure()


def open_target(name: str, on: On, *, check: bool = True) -> Target:
    """Check the stack's settings, then reach the place where it lives; the emulator is started if needed.

    Without `check` the stack's file must exist but may hold mistakes: looking and taking down go by the
    state.
    Raises SettingsError before anything is started, QuestionError when `on` contradicts this shell, FedError
    or EmulatorError when the place cannot be reached.
    """
    settings = load_stack(ROOT, name) if check or not stack_file(ROOT, name).exists() else None
    engine = Engine()
    emulator = control.Emulator.ensure() if on is On.EMULATOR else None
    environment = (
        {**emulator_environment(emulator, engine), **NO_CHECKPOINTS, **heap(settings)}
        if emulator
        else azure_environment(engine)
    )
    workspace = LocalWorkspace(work_dir=str(ROOT), pulumi_command=engine, env_vars=environment)
    if on is On.AZURE:
        _refuse_emulated_backend(workspace)
    return Target(
        name=name,
        on=on,
        settings=settings,
        engine=engine,
        environment=environment,
        workspace=workspace,
        emulator=emulator,
    )


def open_deployed(name: str, on: On) -> Target:
    """Reach a stack that is there, to look at it or to work with it; a mere question starts no emulator.

    Raises RefusedError when this clone has deployed no such stack, and else as `open_target` does.
    """
    absent = on is On.EMULATOR and f"{PROJECT}/{name}" not in control.stacks(paths.backend())
    if absent and stack_file(ROOT, name).exists():
        raise not_deployed(name, on)
    return open_target(name, on, check=False)


def not_deployed(name: str, on: On) -> RefusedError:
    """Return what is said of a stack that is not there."""
    return RefusedError(
        f"{name} is not deployed on {on}. To deploy it: ./fed up {name}"
        + (" --on azure" if on is On.AZURE else "")
    )


def emulator_environment(emulator: control.Emulator, engine: Engine) -> dict[str, str]:
    """Return what Pulumi needs in its environment to deploy to this emulator and to nothing else."""
    home = emulator.home / paths.emulator().relative_to(paths.home()) / "pulumi"
    for folder in (home, emulator.backend):
        paths.private_folder(folder)
    own_home = dict(zip(OWN_HOME, (str(home), "false"), strict=True))
    return {**emulator.environment(engine.folder), **own_home}


def heap(settings: Settings | None) -> dict[str, str]:
    """Return how the engine, a Go program, is to collect its garbage: sooner where it has much to hold.

    Go alone holds as much garbage as it needs memory (docs/adr/0003 has the figures).
    """
    many = settings is not None and len(settings.hospitals) > _MANY
    return {"GOGC": os.environ.get("GOGC", "60")} if many else {}


def azure_environment(engine: Engine) -> dict[str, str]:
    """Return what Pulumi needs in its environment to deploy to Azure with the user's own login and backend.

    Raises QuestionError in a shell that ``fed env`` turned towards the emulator.
    """
    if "FED_EMULATOR" in os.environ or os.environ.get("PULUMI_BACKEND_URL") == paths.backend_url():
        raise QuestionError(
            "this shell is turned towards the emulator, so --on azure would mix the two up. "
            'Turn it back first: eval "$(./fed env --unset)"'
        )
    plugins = str(ROOT / "emulator" / "plugins" / "bin")
    own_host = engine.folder / "pulumi-language-python"
    first = [str(engine.folder), *([] if own_host.exists() else [str(ROOT / "engine" / "bin")])]
    rest = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != plugins]
    environment = {"PATH": os.pathsep.join([*first, *rest]), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys():
        environment["PULUMI_CONFIG_PASSPHRASE"] = ""  # what the salt in the stack files belongs to
    return environment


def _refuse_emulated_backend(workspace: LocalWorkspace) -> None:
    """Refuse a login that points at this clone's emulated stacks."""
    try:
        url = workspace.who_am_i().url or ""
    except CommandError as error:
        raise FedError(
            "Pulumi has no backend for stacks on Azure. Log in to the one that your team uses, for example:\n"
            "  pulumi login azblob://<container>?storage_account=<account>\n"
            f"What it said: {error}"
        ) from error
    if Path(url.partition("?")[0].removeprefix("file://")) == paths.backend():
        raise QuestionError(
            f"Pulumi is logged in to {url}, where emulated stacks live: Azure would be deployed over their "
            "state. Log in to the backend of your Azure stacks (pulumi login <url>)."
        )
