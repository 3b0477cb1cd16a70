"""Which stacks a change reaches, from the paths of its files; and whether its branch is named as agreed."""

import re
import shlex
from collections.abc import Iterable, Sequence

from automation.ui.outcome import RefusedError

#: What no deployment depends on. Everything else that is no stack's own file reaches every stack.
NOT_DEPLOYED = (
    r"docs/",
    r"tests/",
    r"dashboards/",
    r"emulator/",
    r"engine/",
    r"clone/",
    r"pulumi_wire/",
    r"infra/",
    r"automation/",
    r"\.github/",
    r"\.ci/",
    r"[^/]*\.md$",
    r"LICENSE$",
    r"\.[^/]*$",
    r"fed$",
    r"pyproject\.toml$",
    r"requirements-(dev|uv)\.(in|txt)$",
)
#: Pins of the provider and of what the program is made of.
STACK_FILE = re.compile(r"Pulumi\.([a-z]+)\.yaml")
#: Images are built in dev alone; mvp and prod pin digests.
BUILT_IN_DEV = re.compile(r"workloads/")

BRANCH = re.compile(r"feature-[a-z0-9]+([._-][a-z0-9]+)*")


def stacks(paths: Iterable[str], known: Sequence[str]) -> list[str]:
    """Return the stacks of `known`, in its order, whose deployment may change when files at `paths` do."""
    reached: set[str] = set()
    for path in paths:
        if named := STACK_FILE.fullmatch(path):
            reached.add(named[1])
        elif BUILT_IN_DEV.match(path):
            reached.add("dev")
        elif not any(re.match(pattern, path) for pattern in NOT_DEPLOYED):
            reached.update(known)
    return [stack for stack in known if stack in reached]


def check_branch(name: str) -> None:
    """Refuse a branch that is not named ``feature-<what>`` (Dependabot names its own).

    Raises:
        RefusedError: with the commands that rename it.
    """
    if BRANCH.fullmatch(name) or name.startswith("dependabot/"):
        return
    what = re.sub(r"^features?[/_-]", "", name.lower())
    words = re.sub(r"[^a-z0-9]+", "-", what).strip("-") or "what-it-does"
    quoted = shlex.quote(name)
    raise RefusedError(
        f"The branch is named `{name}`; here they are named feature-<what>, in small letters, digits and "
        "dashes, so that a list of branches tells work from everything else. Rename it and open the pull "
        "request again:\n\n"
        f"  git branch -m {quoted} feature-{words}\n"
        f"  git push origin -u feature-{words}\n"
        f"  git push origin --delete {quoted}"
    )
