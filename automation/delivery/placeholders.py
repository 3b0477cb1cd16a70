"""What this repository leaves for an organisation to fill in, and where somebody has not yet.

The values deploy onto the emulator as they are, so no setting can refuse them; before Azure or GitHub is
asked for anything, these functions do.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from automation.ui.outcome import QuestionError

CODEOWNERS = ".github/CODEOWNERS"

#: What the committed files say instead of an organisation's own values, and what to write there.
_PLACEHOLDERS = (
    (
        re.compile(r"[1-5]0000000-0000-4000-8000-\w{12}"),
        "the id of your tenant or subscription (`az account list`)",
    ),
    (re.compile(r"\S+@example\.org"), "an address of yours that somebody reads"),
    (re.compile(r"(st|cr)fedexample"), "a name of your own that is unique in all of Azure"),
    (re.compile(r"example/fed"), "the owner/name of your repository"),
    (re.compile(r"repo:example@1/fed@2"), "what `./fed bootstrap --ask-github` prints"),
    (re.compile(r"nobody"), "the object ids of the Entra groups whose members deploy from a laptop"),
    (re.compile(r"@research-centre/\w+"), "a team of your organisation on GitHub"),
)


def refuse(root: Path, *files: str) -> None:
    """Raise QuestionError that names every placeholder left in these files, and what to write there."""
    if found := [line for file in files for line in left(root, file)]:
        raise QuestionError(
            "these are still the placeholders of the repository, so nothing was asked of Azure or GitHub:\n  "
            + "\n  ".join(found)
            + "\nReplace them (docs/production.md says with what), or try it on the emulator: --on emulator."
        )


def left(root: Path, file: str) -> list[str]:
    """Return a line for each placeholder in a file: where it is, what it says, what to write there."""
    try:
        text = (root / file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(
            f"{file} cannot be read ({error}), so nobody can tell whether a placeholder is left in it"
        ) from error
    entries = _owners(text) if file == CODEOWNERS else _values(YAML(typ="safe").load(text)["config"], "")
    return [
        f"{file}: {key} is {value}: write {wanted}"
        for key, value in dict.fromkeys(entries)
        for pattern, wanted in _PLACEHOLDERS
        if pattern.fullmatch(value)
    ]


def _owners(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            yield from (("an owner", word) for word in line.split()[1:])


def _values(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _values(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list):
        for value in tree or ["nobody"]:
            yield from _values(value, path)
    else:
        yield path, str(tree)
