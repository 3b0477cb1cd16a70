"""Reads a stack file without Pulumi, so that `./fed` can refuse one before anything starts."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from federation.settings import Settings, load
from federation.violations import NOT_SET, SettingsError, violation

#: Pulumi takes these characters, and 100 of them.
STACK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def stack_file(root: Path, stack: str) -> Path:
    """Where the settings of `stack` stand; raises SettingsError when no stack can have that name."""
    if not STACK_NAME.fullmatch(stack):
        raise SettingsError(
            "the stack's name",
            [
                violation(
                    key="STACK",
                    value=stack,
                    why="no stack can have this name: Pulumi would refuse it",
                    fix=f"use one of the stacks {_known(root)}",
                )
            ],
        )
    return root / f"Pulumi.{stack}.yaml"


def load_stack(root: Path, stack: str) -> Settings:
    """Return the settings of `stack` from its file below `root`.

    Raises:
        SettingsError: when the file is missing, is no YAML, or holds a wrong setting.
    """
    path = stack_file(root, stack)
    return load(stack, read_config(path), source=path.name)


def _known(root: Path) -> str:
    """Return the stacks that have a file."""
    return ", ".join(sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml")))


def read_config(path: Path) -> dict[str, Any]:
    """Return what is below `config:` of a stack's file. Raises SettingsError when that cannot be read."""
    try:
        content = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise _unreadable(
            path,
            value=NOT_SET,
            why=f"there is no such file in {path.parent}: nothing says what to deploy",
            fix=f"use one of the stacks {_known(path.parent)}, or copy the nearest file",
        ) from None
    except OSError as error:
        raise _unreadable(
            path,
            value=str(error.strerror),
            why="the file cannot be read: nothing says what to deploy",
            fix="put a readable file there",
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise _unreadable(
            path,
            value=" ".join(str(error).split()),
            why="the file is no valid YAML: no setting could be read",
            fix="correct the line that the message names (indentation, a missing quote, a key twice)",
        ) from None
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise _unreadable(
            path,
            key="config",
            value=config if isinstance(content, dict) else content,
            why="settings stand below `config:`: there are none",
            fix=f"start from the {path.name} of this repository's history, or from Pulumi.dev.yaml",
        )
    return config


def _unreadable(path: Path, *, value: Any, why: str, fix: str, key: str = "") -> SettingsError:
    return SettingsError(path.name, [violation(key=key or path.name, value=value, why=why, fix=fix)])
