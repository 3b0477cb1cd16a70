"""A pull request that adds a hospital, as the workflow runs it; then who may deploy, as verify sees it.

Everything runs in a scratch clone with one hospital: the real engine, the emulator, and the commands of the
workflow's own steps.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from automation.chaos.own_clone import copy_repository
from automation.stacks.plan import Plan
from azure_types.roles import BUILT_IN, definition_id
from emulator.control import Emulator
from tests.resource_manager import ask

ROOT = Path(__file__).resolve().parents[2]
STACK = "dev"
SUBSCRIPTION = "20000000-0000-4000-8000-00000000cafe"
ASSIGNMENTS = "/providers/Microsoft.Authorization/roleAssignments"
PERSON = "deadbeef-0000-4000-8000-000000000000"
LAUNCHER = """\
#!/bin/sh
# The clone's launcher, without the preparation that this machine has done.
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH=$here exec {python} -P -m automation "$@"
"""


@dataclass(frozen=True)
class Clone:
    """A scratch clone; `base` is the commit that a pull request starts from."""

    root: Path
    home: Path
    base: str

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, "FED_HOME": str(self.home), "FED_MACHINES": "false", **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def fed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("./fed", *arguments)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("delivery")
    root, home = folder / "clone", folder / "home"
    copy_repository(root)
    (root / "fed").write_text(LAUNCHER.format(python=shlex.quote(sys.executable)))
    keep_one_hospital(root / f"Pulumi.{STACK}.yaml")
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", "--all")
    git(root, "add", "--force", ".venv")  # so that a work tree of the base shares the packages, too
    git(root, "commit", "--quiet", "--message", "Base")
    try:
        yield Clone(root, home, git(root, "rev-parse", "HEAD").strip())
    finally:
        Emulator.destroy(home, force=True)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def keep_one_hospital(path: Path) -> None:
    """One hospital besides the new one shows all that three would, in a third of the time."""
    from automation.hospitals.stack_file import StackFile  # noqa: PLC0415

    file = StackFile(path)
    for name in ("cleveland", "va-long-beach"):
        file.remove_hospital(name)
    file.save()


def steps_of(workflow: str, job: str) -> list[tuple[str, str]]:
    document = yaml.safe_load((ROOT / ".github/workflows" / workflow).read_text())
    return [(step["name"], step["run"]) for step in document["jobs"][job]["steps"] if "run" in step]


@pytest.fixture(scope="module")
def pull_request(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, Path]]:
    """The pull request's branch, and the folder of what the job `rehearse` left."""
    git(clone.root, "switch", "--quiet", "--create", "feature-switzerland")
    runner = tmp_path_factory.mktemp("runner")
    summary = runner / "summary.md"

    planned = clone.fed("hospital", "add", "switzerland", "--subscription", SUBSCRIPTION)
    assert planned.returncode == 0, planned.stderr
    git(clone.root, "commit", "--quiet", "--all", "--message", "Add Switzerland")

    environment = {
        "STACK": STACK,
        "BASE": clone.base,
        "RUNNER_TEMP": str(runner),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    for name, script in steps_of("pull-request.yml", "rehearse"):
        done = clone.run("bash", "-e", "-o", "pipefail", "-c", script, env=environment)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        if name == "Deploy the base commit onto the emulator":
            assert "switzerland" not in (runner / "base" / f"Pulumi.{STACK}.yaml").read_text()
    yield clone, clone.root / "plan"


def comment_of(clone: Clone, plan: Path) -> str:
    expected = clone.fed("ci", "affected", "--base", clone.base)
    assert expected.stdout.strip() == '["dev"]', expected.stderr
    done = clone.fed("ci", "comment", str(plan), "--expected", expected.stdout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_comment_says_what_the_new_hospital_gets_and_that_nobody_else_changes(
    pull_request: tuple[Clone, Path],
) -> None:
    text = comment_of(*pull_request)
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| ")}
    assert "switzerland (new)" in rows
    assert rows["hungary"].replace(" ", "").startswith("|hungary|||||")
    assert "**delete**" not in text
    assert "**replace**" not in text
    assert "newly allowed | switzerland/machine" in text
    assert "| no longer |" not in text


def test_the_plan_holds_names_and_no_value(pull_request: tuple[Clone, Path]) -> None:
    kept = (pull_request[1] / f"emulator-{STACK}.json").read_text()
    assert SUBSCRIPTION not in kept
    assert "addressSpace" not in kept
    assert {change["party"] for change in json.loads(kept)["changes"]} == {"centre", "switzerland"}


def test_another_plan_than_the_approved_one_is_refused(pull_request: tuple[Clone, Path]) -> None:
    clone, plan = pull_request
    approved = plan / f"emulator-{STACK}.json"
    done = clone.fed("ci", "plan", STACK, "--out", str(plan / "again.json"), "--expect", str(approved))
    assert done.returncode == 1
    assert "only then: create azure-native:compute:VirtualMachine vm-fed-dev-switzerland" in done.stderr


def test_a_mistake_in_the_stack_file_is_in_the_comment(pull_request: tuple[Clone, Path]) -> None:
    clone, plan = pull_request
    file = clone.root / f"Pulumi.{STACK}.yaml"
    right = file.read_text()
    try:
        file.write_text(right.replace("10.10.2.0/27", "10.10.0.0/27"))
        broken = plan / "broken" / f"emulator-{STACK}.json"
        done = clone.fed("ci", "plan", STACK, "--out", str(broken))
        assert done.returncode == 2
        text = clone.fed("ci", "comment", str(broken.parent), "--expected", '["dev"]').stdout
    finally:
        file.write_text(right)
    assert "**The preview failed.**" in text
    assert "fed:hospitals.hungary.addressSpace" in text


def test_drift_is_seen_and_told_from_a_change(pull_request: tuple[Clone, Path]) -> None:
    clone, plan = pull_request
    emulator = Emulator.ensure(fed_home=clone.home)
    group = "/subscriptions/20000000-0000-4000-8000-000000000002/resourcegroups/rg-fed-dev-hungary-compute"
    found: dict[str, Any] = ask(emulator, "GET", group, api_version="2024-03-01").json()
    body = {"location": found["location"], "tags": {**found["tags"], "who": "somebody at the portal"}}
    ask(emulator, "PUT", group, api_version="2024-03-01", body=body).raise_for_status()

    drift = plan / "drift" / f"drift-{STACK}.json"
    done = clone.fed("ci", "plan", STACK, "--drift", "--out", str(drift))
    assert done.returncode == 1, done.stderr
    changes = Plan.model_validate_json(drift.read_text()).changes
    assert [(change.kind, change.name, change.properties) for change in changes] == [
        ("update", "rg-fed-dev-hungary-compute", ("tags",))
    ]
    body["tags"] = found["tags"]
    ask(emulator, "PUT", group, api_version="2024-03-01", body=body).raise_for_status()


def test_who_may_deploy_is_made_and_github_is_told_how(pull_request: tuple[Clone, Path]) -> None:
    clone, _ = pull_request
    made = clone.fed("bootstrap", "--yes")
    assert made.returncode == 0, made.stderr
    lines = made.stdout.splitlines()
    for environment in ("dev", "dev-plan", "mvp", "mvp-plan", "prod", "prod-plan"):
        assert sum(f"--env {environment} " in line for line in lines) == 2
    identities = "Microsoft.ManagedIdentity/userAssignedIdentities"
    emulator = Emulator.ensure(fed_home=clone.home)
    group = "/subscriptions/50000000-0000-4000-8000-000000000000"
    made_here = ask(emulator, "GET", f"{group}/providers/{identities}", api_version="2023-01-31").json()[
        "value"
    ]
    credentials = [
        credential["properties"]
        for identity in made_here
        for credential in ask(
            emulator, "GET", f"{identity['id']}/federatedIdentityCredentials", api_version="2023-01-31"
        ).json()["value"]
    ]
    assert sorted(credential["subject"].rpartition(":")[2] for credential in credentials) == sorted(
        ("dev", "dev-plan", "mvp", "mvp-plan", "prod", "prod-plan")
    )


def test_nothing_is_missing_before_the_first_deployment_once_bootstrap_ran(
    pull_request: tuple[Clone, Path],
) -> None:
    clone, _ = pull_request
    looked = clone.fed("preflight", STACK, "--on", "emulator")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert "Nothing is missing" in looked.stdout


def test_access_is_revoked_although_a_lock_holds_the_state(pull_request: tuple[Clone, Path]) -> None:
    """Azure deletes no role assignment below a lock: hashicorp/terraform-provider-azurerm#11770."""
    clone, _ = pull_request
    emulator = Emulator.ensure(fed_home=clone.home)
    file, group = clone.root / "infra" / "Pulumi.delivery.yaml", "60000000-0000-4000-8000-000000000001"
    alone = file.read_text()
    delivery = "/subscriptions/50000000-0000-4000-8000-000000000000/resourceGroups/rg-fed-delivery"

    def administrators() -> int:
        listed = ask(emulator, "GET", f"{delivery}{ASSIGNMENTS}", api_version="2022-04-01").json()["value"]
        return sum(one["properties"]["principalId"] == group for one in listed)

    file.write_text(alone.replace("administrators: []", f"administrators: [{group}]"))
    made = clone.fed("bootstrap", "--yes")
    assert (made.returncode, administrators()) == (0, 4), made.stderr
    file.write_text(alone)
    revoked = clone.fed("bootstrap", "--yes")
    assert (revoked.returncode, administrators()) == (0, 0), revoked.stderr
    locks = f"{delivery}/providers/Microsoft.Authorization/locks"
    assert len(ask(emulator, "GET", locks, api_version="2020-05-01").json()["value"]) == 1


def verified(clone: Clone, code: int) -> dict[str, Any]:
    done = clone.fed("verify", STACK, "--no-packets", "--no-inside", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rights_of_the_deployer(emulator: Emulator) -> dict[str, dict[str, Any]]:
    """What Resource Manager says of the writing identity's roles on the new hospital, by the role's GUID."""
    listed = ask(emulator, "GET", f"/subscriptions/{SUBSCRIPTION}{ASSIGNMENTS}", api_version="2022-04-01")
    found = {
        one["properties"]["roleDefinitionId"].rsplit("/", 1)[-1]: one
        for one in listed.json()["value"]
        if one["properties"]["scope"] == f"/subscriptions/{SUBSCRIPTION}"
    }
    return {name: found[guid] for name, guid in BUILT_IN.items() if guid in found}


def test_verify_expects_what_bootstrap_gives_and_lists_it(pull_request: tuple[Clone, Path]) -> None:
    clone, _ = pull_request
    emulator = Emulator.ensure(fed_home=clone.home)
    assert set(rights_of_the_deployer(emulator)) == {
        "Contributor",
        "Reader",
        "Role Based Access Control Administrator",
    }
    everywhere = "centre, hungary, switzerland"
    assert verified(clone, 0)["operators"] == [
        f"id-fed-dev: Contributor on {everywhere}",
        f"id-fed-dev: Role Based Access Control Administrator on {everywhere}",
        f"id-fed-dev-plan: Reader on {everywhere}",
    ]


def given(emulator: Emulator, name: str, role: str, **properties: Any) -> str:
    """Give a role on the new hospital's whole subscription behind the program's back; return its id."""
    scope = f"/subscriptions/{SUBSCRIPTION}"
    definition = definition_id(SUBSCRIPTION, role)
    arm_id = f"{scope}{ASSIGNMENTS}/{name}"
    body = {"properties": {"roleDefinitionId": definition, **properties}}
    ask(emulator, "PUT", arm_id, api_version="2022-04-01", body=body).raise_for_status()
    return arm_id


def test_a_persons_right_is_listed_and_one_that_opens_data_is_found(
    pull_request: tuple[Clone, Path],
) -> None:
    clone, _ = pull_request
    emulator = Emulator.ensure(fed_home=clone.home)
    person = {"principalId": PERSON, "principalType": "User"}
    runs = given(emulator, "00000000-0000-4000-8000-000000000001", "Contributor", **person)
    assert f"user {PERSON}: Contributor on switzerland" in verified(clone, 0)["operators"]

    reads = given(emulator, "00000000-0000-4000-8000-000000000002", "Storage Blob Data Reader", **person)
    found = verified(clone, 1)["findings"]
    assert any(f["rule"] == "deployers" and "Storage Blob Data Reader" in f["where"] for f in found)
    assert any(f["rule"] == "grants" and "may list, read data of switzerland" in f["what"] for f in found)

    for made in (runs, reads):
        ask(emulator, "DELETE", made, api_version="2022-04-01").raise_for_status()
    assert verified(clone, 0)["holds"]


def test_another_principals_copy_is_found(pull_request: tuple[Clone, Path]) -> None:
    clone, _ = pull_request
    emulator = Emulator.ensure(fed_home=clone.home)
    shown = ask(
        emulator,
        "GET",
        "/subscriptions/50000000-0000-4000-8000-000000000000/resourceGroups/rg-fed-delivery/providers/"
        "Microsoft.ManagedIdentity/userAssignedIdentities/id-fed-prod",
        api_version="2023-01-31",
    ).json()
    other = {"principalId": shown["properties"]["principalId"], "principalType": "ServicePrincipal"}
    copy = given(emulator, "00000000-0000-4000-8000-000000000003", "Contributor", **other)
    found = [f for f in verified(clone, 1)["findings"] if f["rule"] == "deployers"]
    ask(emulator, "DELETE", copy, api_version="2022-04-01").raise_for_status()

    assert [f["where"].split(" (")[0] for f in found] == [f"role assignment {copy.rsplit('/', 1)[-1]}"]
    assert "delete the role assignment" in found[0]["fix"]


def test_a_right_without_its_condition_is_found_and_bootstrap_gives_it_back(
    pull_request: tuple[Clone, Path],
) -> None:
    clone, _ = pull_request
    emulator = Emulator.ensure(fed_home=clone.home)
    role = "Role Based Access Control Administrator"
    right = rights_of_the_deployer(emulator)[role]
    principal = {name: right["properties"][name] for name in ("principalId", "principalType")}
    given(emulator, right["name"], role, **principal)

    (found,) = [f for f in verified(clone, 1)["findings"] if f["rule"] == "deployers"]
    assert right["name"] in found["where"]
    assert "it has no condition" in found["where"]

    made = clone.fed("bootstrap", "--yes")
    assert made.returncode == 0, made.stderr
    assert verified(clone, 0)["holds"]
