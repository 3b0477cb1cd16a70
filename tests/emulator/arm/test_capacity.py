"""What may be asked before a deployment: sizes, quotas, permissions; and who may sign in from outside."""

from typing import Any

import pytest

from automation.hospitals import offers
from automation.stacks.arm import Answer
from automation.stacks.arm import Arm as ResourceManager
from emulator.arm.tokens import Caller
from federation.azure_facts import VM_SIZES
from federation.parties import federation
from federation.settings import load
from tests.emulator.arm.test_machines import VM, network_and_disk, vm
from tests.emulator.arm_client import GROUP, OTHER_SUBSCRIPTION, SUBSCRIPTION, Arm, said
from tests.unit.support.program_graph import stack_config

__all__ = ["network_and_disk"]
"""A fixture that pytest finds here by its name; it is used by every test."""

IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-deploy"
DELETED = f"{SUBSCRIPTION}/providers/Microsoft.OperationalInsights/deletedWorkspaces"
CREDENTIAL = f"{IDENTITY}/federatedIdentityCredentials"


def quotas(arm: Arm, provider: str, region: str) -> dict[str, tuple[int, int]]:
    found = arm.get(f"{SUBSCRIPTION}/providers/Microsoft.{provider}/locations/{region}/usages")["value"]
    return {usage["name"]["value"]: (usage["currentValue"], usage["limit"]) for usage in found}


class TestQuotas:
    def test_a_machine_uses_the_cores_of_its_region_and_family(self, arm: Arm) -> None:
        before = quotas(arm, "Compute", "westeurope")
        arm.put(VM, vm(hardwareProfile={"vmSize": "Standard_D2s_v5"}))
        after = quotas(arm, "Compute", "westeurope")

        assert {name for name in after if after[name] != before[name]} == {"cores", "standardDSv5Family"}
        assert after["cores"][0] - before["cores"][0] == 2
        assert quotas(arm, "Compute", "northeurope")["cores"][0] == 0

    def test_a_public_address_counts_where_it_is(self, arm: Arm) -> None:
        body = {
            "location": "westeurope",
            "sku": {"name": "Standard"},
            "properties": {"publicIPAllocationMethod": "Static"},
        }
        arm.put(f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/pip", body)

        assert quotas(arm, "Network", "westeurope")["PublicIPAddresses"][0] == 1
        assert quotas(arm, "Network", "northeurope")["PublicIPAddresses"][0] == 0


class TestOffers:
    def test_redundancy_is_listed_where_an_account_can_have_it(self, arm: Arm) -> None:
        listed = arm.get(f"{SUBSCRIPTION}/providers/Microsoft.Storage/skus")["value"]
        there = {sku["name"] for sku in listed if sku["locations"] == ["italynorth"]}
        assert there == {"Standard_LRS", "Standard_ZRS"}

    def test_a_deleted_workspace_is_listed_for_14_days(self, arm: Arm) -> None:
        path = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-one"
        arm.put(path, {"location": "westeurope", "properties": {}})
        arm.delete(path)
        (found,) = arm.get(DELETED)["value"]
        assert (found["id"], found["name"], found["location"]) == (path, "log-one", "westeurope")
        arm.put(path, {"location": "westeurope", "properties": {}})
        assert not arm.get(DELETED)["value"]

    def test_an_image_version_is_asked_for_before_a_machine_boots_it(self, arm: Arm) -> None:
        versions = (
            f"{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/publishers/Canonical/artifacttypes"
            "/vmimage/offers/ubuntu-24_04-lts/skus/server/versions"
        )
        assert arm.get(f"{versions}/24.04.202509170")["name"] == "24.04.202509170"
        assert said(arm("GET", f"{versions}/24.04.999901010")).startswith("NotFound")
        image = vm()["properties"]["storageProfile"]
        image["imageReference"]["version"] = "24.04.999901010"
        assert arm.refusal(VM, vm(storageProfile=image)).startswith("PlatformImageNotFound")

    @pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
    def test_preflight_finds_here_all_that_a_stack_needs(self, arm: Arm, stack: str) -> None:
        class Asked(ResourceManager):
            def __init__(self) -> None:
                pass

            def get(self, path: str, version: str, **query: str) -> Answer:
                asked: dict[str, Any] = {"api-version": version, **query}
                found = arm("GET", path, **asked)
                return Answer(status=found.status, body=found.body or {})

        whole = federation(load(stack, stack_config(stack)))
        for party in whole.parties:
            arm.put(f"/subscriptions/{party.subscription_id}/resourceGroups/x", {"location": "westeurope"})
            answers = offers.ask(Asked(), whole.settings, party)
            assert not list(offers.lacking(whole.settings, party, answers))


class TestSizes:
    def test_every_size_that_the_program_knows_is_offered_in_the_region_asked_for(self, arm: Arm) -> None:
        path = f"{SUBSCRIPTION}/providers/Microsoft.Compute/skus"
        found = arm.get(path, **{"$filter": "location eq 'westeurope'"})["value"]

        assert {sku["name"] for sku in found} == set(VM_SIZES)
        assert all(sku["locations"] == ["westeurope"] and not sku["restrictions"] for sku in found)
        (small,) = [sku for sku in found if sku["name"] == "Standard_B2s_v2"]
        assert {"name": "vCPUs", "value": "2"} in small["capabilities"]
        assert {"name": "EncryptionAtHostSupported", "value": "True"} in small["capabilities"]


class TestPermissions:
    def test_a_deployer_may_do_everything_in_its_own_subscriptions(self, arm: Arm) -> None:
        path = "providers/Microsoft.Authorization/permissions"
        mine = arm.as_caller(Caller(subscriptions=frozenset({SUBSCRIPTION.rpartition("/")[2]})))
        arm.put(f"{OTHER_SUBSCRIPTION}/resourceGroups/rg", {"location": "westeurope"})

        assert mine.get(f"{SUBSCRIPTION}/{path}")["value"][0]["actions"] == ["*"]
        assert said(mine("GET", f"{OTHER_SUBSCRIPTION}/{path}")).startswith("AuthorizationFailed")


class TestFederatedCredentials:
    @pytest.fixture(autouse=True)
    def identity(self, arm: Arm) -> None:
        arm.put(IDENTITY, {"location": "westeurope"})

    def body(self, **changes: Any) -> dict[str, Any]:
        own = {
            "issuer": "https://token.actions.githubusercontent.com",
            "subject": "repo:example/fed:environment:dev",
            "audiences": ["api://AzureADTokenExchange"],
        }
        return {"properties": own | changes}

    def test_one_is_kept_with_its_identity(self, arm: Arm) -> None:
        made = arm.put(f"{CREDENTIAL}/github", self.body())
        assert made["properties"] == self.body()["properties"]
        assert [one["name"] for one in arm.get(CREDENTIAL)["value"]] == ["github"]
        arm.delete(IDENTITY)
        assert arm("GET", f"{CREDENTIAL}/github").status == 404

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"issuer": "token.actions.githubusercontent.com"}, "is no https URL"),
            ({"audiences": ["one", "two"]}, "Exactly one audience"),
        ],
    )
    def test_what_entra_would_not_take_is_refused(
        self, arm: Arm, changes: dict[str, Any], refusal: str
    ) -> None:
        assert refusal in arm.refusal(f"{CREDENTIAL}/github", self.body(**changes))

    def test_issuer_and_subject_are_unique_and_twenty_are_enough(self, arm: Arm) -> None:
        for number in range(20):
            arm.put(f"{CREDENTIAL}/github-{number}", self.body(subject=f"repo:example/fed:{number}"))
        assert "at most 20" in arm.refusal(f"{CREDENTIAL}/more", self.body(subject="another"))
        arm.delete(f"{CREDENTIAL}/github-19")
        again = arm.refusal(f"{CREDENTIAL}/again", self.body(subject="repo:example/fed:3"))
        assert "are already those of 'github-3'" in again
