"""The settings of the stack that is being deployed, as Pulumi hands them to the program."""

import pulumi
from pulumi.runtime import config

from federation.settings import Settings, load
from federation.violations import SettingsError


def current_settings() -> Settings:
    """Return the settings of the current stack.

    All keys are read at once, so that one nobody asks for is noticed; `pulumi.Config` cannot list them.

    Raises:
        pulumi.RunError: ends the run with the violations alone, before anything is planned.
    """
    try:
        return load(pulumi.get_stack(), {**config.get_config_env(), **config.CONFIG.get()})
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
