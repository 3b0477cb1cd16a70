"""A replay of recorded traffic compares what an emulator can know, and counts what it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import recordings
from benchmarks.recordings import BEFORE, OUTSIDE, Result

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hospital"
GIVEN = "11111111-0000-4000-8000-000000000000"


def step(method: str, path: str, status: int, body: Any = None, **more: Any) -> dict[str, Any]:
    version = "2023-01-31" if "ManagedIdentity" in path else "2024-03-01"
    if "roleAssignments" in path:
        version = "2022-04-01"
    return {
        "method": method,
        "path": path,
        "query": {"api-version": version},
        "status": status,
        "request": body,
        **more,
    }


PUT_NETWORK = step(
    "PUT",
    NETWORK,
    201,
    {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}},
)


@pytest.fixture
def replayed(tmp_path: Path) -> Any:
    def replayed(*steps: dict[str, Any]) -> Result:
        (tmp_path / "scenario.json").write_text(json.dumps({"steps": steps}))
        return recordings.replay(tmp_path)

    return replayed


def test_a_group_that_a_recording_presumes_is_made_also_before_a_question(replayed: Any) -> None:
    result = replayed(step("GET", GROUP, 200), PUT_NETWORK, step("GET", NETWORK, 200))
    assert [each.ours[0] for each in result.compared] == [200, 201, 200]
    assert result.share("same_answer") == 100


def test_what_was_there_before_is_left_out_and_counted_with_all_that_names_it(replayed: Any) -> None:
    subnet = {"properties": {"addressPrefix": "10.0.0.0/24"}}
    result = replayed(step("GET", NETWORK, 200), step("PUT", f"{NETWORK}/subnets/s", 201, subnet))
    assert result.compared == []
    assert result.left_out == {BEFORE: 2}


def test_what_azure_does_not_find_either_is_compared(replayed: Any) -> None:
    missing = {"error": {"code": "ResourceNotFound"}}
    result = replayed(step("GET", NETWORK, 404, response=missing))
    assert [each.same_answer for each in result.compared] == [True]


def test_a_type_outside_the_catalogue_is_left_out_with_its_reason(replayed: Any) -> None:
    result = replayed(step("PUT", f"{GROUP}/providers/Microsoft.Cache/redis/r", 201, {}))
    assert result.left_out == {OUTSIDE: 1}


def test_differences_are_counted_by_verdict_and_by_answer(replayed: Any) -> None:
    refused = {"error": {"code": "AnotherOperationInProgress"}}
    again = step("GET", NETWORK, 404, response={"error": {"code": "SomethingElse"}})
    result = replayed(again, PUT_NETWORK | {"status": 409, "response": refused}, step("GET", GROUP, 200))
    assert result.share("same_verdict") == pytest.approx(200 / 3)
    assert result.share("same_answer") == pytest.approx(100 / 3)


def test_identities_that_azure_chose_are_ours_in_later_requests(replayed: Any) -> None:
    subscription, reader = GROUP.partition("/resourceGroups")[0], "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    role = f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{reader}"
    assignment = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{GIVEN.replace('1', '2')}"
    chosen = {"properties": {"principalId": GIVEN, "clientId": GIVEN.replace("1", "3")}}
    made = step("PUT", IDENTITY, 201, {"location": "westeurope"}, response=chosen)
    given = {"properties": {"principalId": GIVEN, "roleDefinitionId": role}}
    result = replayed(made, step("PUT", assignment, 201, given))
    assert [each.ours for each in result.compared] == [(201, None), (201, None)]


def test_questions_after_operations_and_what_follows_a_deleted_group_are_not_sent(replayed: Any) -> None:
    result = replayed(
        PUT_NETWORK,
        step("GET", f"{GROUP}/providers/Microsoft.Network/locations/operations/1", 200, poll=True),
        step("DELETE", GROUP, 202),
        step("GET", NETWORK, 404),
    )
    assert [each.request.split()[0] for each in result.compared] == ["PUT", "DELETE"]


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Fix: name the folder"):
        recordings.replay(tmp_path)
