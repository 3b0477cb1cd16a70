"""How a command ends: exit codes, and the errors that are told to a person instead of a traceback."""

from enum import IntEnum

from automation.ui.lazily import lazily

with lazily():
    from emulator import control
    from emulator.datacentre import errors


class Code(IntEnum):
    """The exit codes of every `fed` command."""

    DONE = 0
    NO = 1
    """The answer is no: a check failed, a difference was found, a question was declined."""
    WRONG = 2
    """The question was wrong: usage or settings."""
    BROKEN = 3
    """Something broke on the way."""


class FedError(Exception):
    """Something a person must know; the text says what, why it matters and the fix."""

    code = Code.BROKEN


class QuestionError(FedError):
    """The command cannot be asked for like this; nothing was done."""

    code = Code.WRONG


class RefusedError(FedError):
    """The answer is no."""

    code = Code.NO


def explain(error: Exception) -> tuple[Code, str] | None:
    """Return the exit code and the words for an error that is no mistake in this code, else None."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 slow, and needed only after an error
    from pulumi.automation import CommandError  # noqa: PLC0415

    from federation.violations import SettingsError  # noqa: PLC0415

    match error:
        case FedError():
            return error.code, str(error)
        case SettingsError():
            return Code.WRONG, str(error)
        case CommandError():
            return Code.BROKEN, f"Pulumi could not do it:\n{error}"
        case errors.UnknownContainerError():
            return Code.WRONG, str(error)
        case AzureError() | control.EmulatorError() | errors.DatacentreError():
            return Code.BROKEN, str(error)
    return None
