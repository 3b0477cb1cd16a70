"""Whether the actions that the workflows use are the releases that the lock file says, as GitHub itself
knows them.
"""

import json
import re

from pydantic import BaseModel, ConfigDict, Field

from automation.delivery.github import GitHub
from automation.ui.outcome import QuestionError, RefusedError
from clone import paths

GITHUB = paths.REPOSITORY / ".github"
LOCK = GITHUB / "actions.lock.json"
USES = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<sha>[0-9a-f]{40}) # (?P<version>v[\w.]+)")


class Pin(BaseModel):
    """One action: the commit, the release that it is, and who else pins it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str = Field(pattern=r"^v[\w.]+$")
    seen: tuple[str, ...]


class Lock(BaseModel):
    """The lock file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    actions: dict[str, Pin]


def check(*, update: bool) -> None:
    """Ask GitHub for each pin; with `update`, first take the pins from the workflows and write them when
    all are right.

    Raises:
        QuestionError: when the lock file is broken.
        RefusedError: with every pin whose commit is not its release.
    """
    lock = _read()
    locked = lock.actions
    if update:
        locked = {
            action: Pin(sha=sha, version=version, seen=_seen(locked.get(action), sha))
            for action, sha, version in sorted(_used())
        }
    github = GitHub.from_environment()
    wrong = []
    for action, pin in locked.items():
        repository = "/".join(action.split("/")[:2])
        commit = github.commit_of(repository, pin.version)
        print(f"{action} {pin.version}: {'as locked' if commit == pin.sha else commit}")
        if commit != pin.sha:
            wrong.append(f"{action}: {pin.version} is {commit}, the lock says {pin.sha}")
    if wrong:
        raise RefusedError(
            "These pins are not the releases that they claim to be. Either a tag was moved, which is how "
            "actions are hijacked, or the pin is mistaken. Use none before you know:\n  " + "\n  ".join(wrong)
        )
    if update:
        written = Lock(about=lock.about, actions=locked).model_dump(mode="json")
        LOCK.write_text(json.dumps(written, indent=2) + "\n")


def _read() -> Lock:
    try:
        return Lock.model_validate_json(LOCK.read_text())
    except (OSError, ValueError) as error:
        raise QuestionError(
            f"{LOCK} is no lock of actions, so nothing says which commit each should be. Take it from git "
            f"again (git checkout -- {LOCK}), or fix it: {error}"
        ) from error


def _used() -> set[tuple[str, str, str]]:
    files = [*GITHUB.glob("workflows/*.yml"), *GITHUB.glob("actions/*/action.yml")]
    return {
        (use["action"], use["sha"], use["version"])
        for file in files
        for use in USES.finditer(file.read_text())
    }


def _seen(before: Pin | None, sha: str) -> tuple[str, ...]:
    """Who else pins a commit is known only as long as the commit stays."""
    return before.seen if before and before.sha == sha else ("GitHub's API",)
