"""Who may deploy: each identity is for exactly one GitHub environment, and may do no more than its part."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from azure_types.roles import BUILT_IN, NAMES
from clone import paths
from components.roles import ROLES as GIVEN_BY_THE_PROGRAM
from federation.azure_facts import REGIONS, offers_redundancy
from federation.violations import SettingsError
from infra import settings as delivery_settings
from infra.program import deploy
from infra.settings import STACK_FILE
from infra.state import state_redundancy

ROOT = paths.REPOSITORY
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / STACK_FILE).read_text())["config"]
SETTINGS = delivery_settings.load(CONFIG)
SUBSCRIPTIONS = delivery_settings.subscriptions(ROOT, SETTINGS.environments)
GROUP = "60000000-0000-4000-8000-000000000001"


class Recorder(pulumi.runtime.Mocks):
    """Keeps every resource with its inputs and its provider."""

    def __init__(self) -> None:
        self.made: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.made.append(args)
        outputs = {
            **args.inputs,
            "principalId": f"principal of {args.name}",
            "clientId": f"client of {args.name}",
        }
        names = ("resourceGroupName", "accountName", "registryName", "resourceName", "containerName")
        named = next((args.inputs[name] for name in reversed(names) if name in args.inputs), args.name)
        return f"/id/{args.name}", {**outputs, "name": named}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[Any, Any]:
        raise AssertionError(
            f"the delivery program asks Azure nothing while planning, but called {args.token}"
        )

    def of(self, kind: str) -> list[pulumi.runtime.MockResourceArgs]:
        return [one for one in self.made if one.typ.endswith(f":{kind}")]


def planned(root: Path, more: str = "") -> Recorder:
    """Run the program in a folder, with more lines in its stack file, and return what it asks for."""
    for file in ROOT.glob("Pulumi.*.yaml"):
        (root / file.name).write_text(file.read_text())
    (root / "infra").mkdir()
    text = (ROOT / STACK_FILE).read_text().replace("administrators: []", f"administrators: [{GROUP}]{more}")
    (root / STACK_FILE).write_text(text)
    recorder = Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(recorder, project="fed-delivery", stack="delivery", preview=False)

    @pulumi.runtime.test
    def run() -> None:
        deploy(root)

    run()
    return recorder


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return planned(tmp_path_factory.mktemp("clone"))


def assignments(graph: Recorder, principal: str) -> set[tuple[str, str]]:
    """(role, scope) of one identity."""
    return {
        (NAMES[one.inputs["roleDefinitionId"].rsplit("/", 1)[-1]], one.inputs["scope"])
        for one in graph.of("RoleAssignment")
        if one.inputs["principalId"] == principal
    }


def state(container: str) -> str:
    return f"/id/{SETTINGS.state_account}-{container}"


def test_each_identity_trusts_one_environment_of_one_repository(graph: Recorder) -> None:
    trusted = {one.inputs["resourceName"]: one.inputs for one in graph.of("FederatedIdentityCredential")}
    assert set(trusted) == {
        f"id-fed-{stack}{kind}" for stack in ("dev", "mvp", "prod") for kind in ("", "-plan")
    }
    for identity, credential in trusted.items():
        environment = identity.removeprefix("id-fed-")
        assert credential["subject"] == f"{SETTINGS.subject_prefix}:environment:{environment}"
        assert credential["issuer"] == "https://token.actions.githubusercontent.com"
        assert credential["audiences"] == ["api://AzureADTokenExchange"]


@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_the_planning_identity_reads_and_does_nothing_else(graph: Recorder, stack: str) -> None:
    wanted = {("Reader", f"/subscriptions/{one}") for one in SUBSCRIPTIONS[stack].values()}
    wanted.add(("Storage Blob Data Reader", state(stack)))
    assert assignments(graph, f"principal of id-fed-{stack}-plan") == wanted


@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_the_writing_identity_reaches_its_own_stack_alone(graph: Recorder, stack: str) -> None:
    grantor = "User Access Administrator" if stack == "prod" else "Role Based Access Control Administrator"
    wanted = {
        (role, f"/subscriptions/{one}")
        for one in SUBSCRIPTIONS[stack].values()
        for role in ("Contributor", grantor)
    }
    wanted.add(("Storage Blob Data Contributor", state(stack)))
    wanted.add(("Contributor" if stack == "dev" else "Reader", f"/id/{SETTINGS.registry}"))
    wanted |= {("Reader", f"/id/id-fed-{stack}"), ("Reader", f"/id/id-fed-{stack}-plan")}
    assert assignments(graph, f"principal of id-fed-{stack}") == wanted


def test_who_may_assign_roles_may_only_hand_on_what_the_program_gives(graph: Recorder) -> None:
    strong = {"Owner", "User Access Administrator", "Role Based Access Control Administrator"}
    found = [
        one for one in graph.of("RoleAssignment") if NAMES[one.inputs["roleDefinitionId"][-36:]] in strong
    ]
    assert len(found) == sum(len(parties) for parties in SUBSCRIPTIONS.values())
    for one in found:
        condition = one.inputs["condition"]
        kinds = ["ServicePrincipal", "Group"]
        assert one.inputs["conditionVersion"] == "2.0"
        itself = (
            rf"PrincipalId\] ForAnyOfAllValues:GuidNotEquals \{{{re.escape(one.inputs['principalId'])}\}}"
        )
        assert len(re.findall(itself, condition)) == 2 * len(kinds)
        for action, source in (("write", "Request"), ("delete", "Resource")):
            clause = (
                rf"\(\(!\(ActionMatches\{{'Microsoft\.Authorization/roleAssignments/{action}'\}}\)\) OR "
                rf"{' OR '.join(given(source, kind) for kind in kinds)}\)(?= AND \(\(!|$)"
            )
            matched = re.search(clause, condition)
            assert matched
            to_machines, to_groups = (set(roles.split(", ")) for roles in matched.groups())
            assert to_machines == {BUILT_IN[role] for role in GIVEN_BY_THE_PROGRAM}
            assert to_groups == {BUILT_IN[f"Storage Blob Data {role}"] for role in ("Reader", "Contributor")}


def given(source: str, kind: str) -> str:
    """Part of a condition: which roles may be given to one kind of principal, as a pattern."""
    return (
        rf"\(@{source}\[Microsoft\.Authorization/roleAssignments:RoleDefinitionId\] "
        rf"ForAnyOfAnyValues:GuidEquals \{{([^}}]*)\}} AND "
        rf"@{source}\[Microsoft\.Authorization/roleAssignments:PrincipalId\] "
        rf"ForAnyOfAllValues:GuidNotEquals \{{[^}}]*\}} AND "
        rf"@{source}\[Microsoft\.Authorization/roleAssignments:PrincipalType\] "
        rf"ForAnyOfAnyValues:StringEqualsIgnoreCase \{{'{kind}'\}}\)"
    )


def test_people_deploy_through_groups_and_reach_state_only(graph: Recorder) -> None:
    containers = {"dev", "mvp", "prod", "infra"}
    assert assignments(graph, GROUP) == {
        ("Storage Blob Data Contributor", state(name)) for name in containers
    }


def test_every_role_is_assigned_with_the_provider_of_its_subscription(graph: Recorder) -> None:
    for one in graph.of("RoleAssignment"):
        definition = one.inputs["roleDefinitionId"].split("/")[2]
        assert f"::subscription-{definition}::" in one.provider, one.name


def test_no_two_assignments_share_a_name(graph: Recorder) -> None:
    names = [one.inputs["roleAssignmentName"] for one in graph.of("RoleAssignment")]
    assert len(names) == len(set(names))


def test_state_is_opened_by_no_key_and_kept_in_versions(graph: Recorder) -> None:
    (account,) = graph.of("StorageAccount")
    assert account.inputs["allowSharedKeyAccess"] is False
    assert account.inputs["allowBlobPublicAccess"] is False
    assert account.inputs["minimumTlsVersion"] == "TLS1_2"
    (blobs,) = graph.of("BlobServiceProperties")
    assert blobs.inputs["isVersioningEnabled"] is True
    assert blobs.inputs["deleteRetentionPolicy"]["days"] >= 30
    assert {one.inputs["containerName"] for one in graph.of("BlobContainer")} == {
        "dev",
        "mvp",
        "prod",
        "infra",
    }
    assert all(one.inputs["publicAccess"] == "None" for one in graph.of("BlobContainer"))
    (lock,) = graph.of("ManagementLockByScope")
    assert lock.inputs["level"] == "CanNotDelete"


def test_state_is_reached_from_everywhere_unless_addresses_are_named(graph: Recorder) -> None:
    """GitHub's ordinary runners have no fixed address."""
    (account,) = graph.of("StorageAccount")
    assert account.inputs["networkRuleSet"]["defaultAction"] == "Allow"


def test_state_is_reached_from_the_named_addresses_alone(tmp_path: Path) -> None:
    """learn.microsoft.com/azure/storage/common/storage-network-security: rules of addresses allow, all else
    is denied; and no service of Azure's goes around them (`bypass`).
    """
    graph = planned(tmp_path, "\n  fed-delivery:addresses: [203.0.113.7, 198.51.100.9]")
    (account,) = graph.of("StorageAccount")
    rules = account.inputs["networkRuleSet"]
    assert (rules["defaultAction"], rules["bypass"], rules["virtualNetworkRules"]) == ("Deny", "None", [])
    assert [(rule["iPAddressOrRange"], rule["action"]) for rule in rules["ipRules"]] == [
        ("203.0.113.7", "Allow"),
        ("198.51.100.9", "Allow"),
    ]


def test_state_has_a_second_copy_in_every_region() -> None:
    assert {state_redundancy(region) for region in REGIONS} == {"Standard_ZRS", "Standard_GRS"}
    assert all(offers_redundancy(region, state_redundancy(region)) for region in REGIONS)


def test_the_registry_of_released_images_knows_identities_only(graph: Recorder) -> None:
    (registry,) = graph.of("Registry")
    assert registry.inputs["adminUserEnabled"] is False
    assert registry.inputs["anonymousPullEnabled"] is False


def test_no_input_is_a_secret(graph: Recorder) -> None:
    for one in graph.made:
        assert not re.search(
            r"password|secret|sharedaccess", " ".join(map(str, one.inputs)), re.IGNORECASE
        ), one.name


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("stateAccount", "st-fed", "AccountNameInvalid"),
        ("stateAccount", "x" * 25, "AccountNameInvalid"),
        ("registry", "cr", "InvalidResourceName"),
        ("subjectPrefix", "acme/fed", "AADSTS700213"),
        ("subjectPrefix", "repo:acme/*", "AADSTS700213"),
        ("subjectPrefix", "repo:acme/fed:", "AADSTS700213"),
        ("repository", "acme", "fed-delivery:repository"),
        ("environments", ["qa"], "fed-delivery:environments"),
        ("environments", ["dev", "dev"], "name each stack once"),
        ("administrators", ["me"], "GUID"),
        ("addresses", ["10.0.0.4"], "nobody on the internet has this address"),
        ("addresses", ["203.0.113.0/28"], "fed-delivery:addresses"),
        ("subscription", "x", "did you mean subscriptionId"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key_and_consequence(key: str, value: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refusal:
        delivery_settings.load({**CONFIG, f"fed-delivery:{key}": value})
    assert f"fed-delivery:{key}" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        (b"", "there are none"),
        (b"config: [", "no valid YAML"),
        (b"\xff\xfe\xff", "no valid YAML"),
    ],
)
def test_a_stack_file_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    (tmp_path / "infra").mkdir()
    if content is not None:
        (tmp_path / STACK_FILE).write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        delivery_settings.read(tmp_path)
    assert said in str(refused.value)
    assert "Pulumi.delivery.yaml" in str(refused.value)
