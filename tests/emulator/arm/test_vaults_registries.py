"""Key vaults, their keys, and container registries: the rules that Azure would enforce."""

from pathlib import Path
from typing import Any

import pytest

from emulator.arm.messages import Response
from emulator.arm.tokens import Caller
from emulator.snapshots import Snapshots
from tests.emulator.arm_client import GROUP, OTHER_GROUP, OTHER_SUBSCRIPTION, SUBSCRIPTION, Arm, said

VAULTS = "providers/Microsoft.KeyVault/vaults"
VAULT = f"{GROUP}/{VAULTS}/kv-one"
KEY = f"{VAULT}/keys/party"
REGISTRIES = "providers/Microsoft.ContainerRegistry/registries"
REGISTRY = f"{GROUP}/{REGISTRIES}/crone"


def vault(**properties: Any) -> dict[str, Any]:
    own = {
        "tenantId": "22222222-2222-4222-8222-222222222222",
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
        "softDeleteRetentionInDays": 7,
    }
    return {"location": "westeurope", "properties": {**own, **properties}}


def registry(sku: str = "Premium", **properties: Any) -> dict[str, Any]:
    return {"location": "westeurope", "sku": {"name": sku}, "properties": properties}


class TestVaults:
    def test_deleted_vault_keeps_its_name_until_it_is_purged_or_recovered(self, arm: Arm) -> None:
        arm.put(VAULT, vault())
        arm.delete(VAULT)
        assert arm.refusal(VAULT, vault()).startswith("ConflictError: ")
        elsewhere = f"{OTHER_GROUP}/{VAULTS}/kv-one"
        assert arm.refusal(elsewhere, vault()).startswith("VaultAlreadyExists: ")
        arm.put(VAULT, vault(createMode="recover"))

    def test_name_is_taken_for_everybody(self, arm: Arm) -> None:
        arm.put(VAULT, vault())
        assert arm.refusal(f"{OTHER_GROUP}/{VAULTS}/KV-ONE", vault()).startswith("VaultAlreadyExists: ")

    def test_purge_protection_cannot_be_refused_nor_taken_back(self, arm: Arm) -> None:
        assert "cannot be set to false" in arm.refusal(VAULT, vault(enablePurgeProtection=False))
        arm.put(VAULT, vault(enablePurgeProtection=True))
        assert arm.put(VAULT, vault())["properties"]["enablePurgeProtection"] is True

    def test_days_of_soft_deletion_are_set_once(self, arm: Arm) -> None:
        assert "between 7 and 90" in arm.refusal(VAULT, vault(softDeleteRetentionInDays=5))
        arm.put(VAULT, vault())
        assert "can't be modified" in arm.refusal(VAULT, vault(softDeleteRetentionInDays=30))


class TestKeys:
    def test_second_put_answers_the_key_as_it_is(self, arm: Arm) -> None:
        arm.put(VAULT, vault())
        first = arm.put(KEY, {"properties": {"kty": "RSA", "keySize": 3072}})
        again = arm.put(KEY, {"properties": {"kty": "RSA", "keySize": 4096}})
        assert again["properties"] == first["properties"]
        assert first["properties"]["keyUriWithVersion"].startswith(
            "https://kv-one.vault.azure.net/keys/party/"
        )

    def test_hsm_key_needs_a_premium_vault(self, arm: Arm) -> None:
        arm.put(VAULT, vault())
        assert "premium" in arm.refusal(KEY, {"properties": {"kty": "RSA-HSM"}})

    def test_closed_vault_does_not_let_its_key_be_deleted_from_outside(self, arm: Arm) -> None:
        arm.put(VAULT, vault(publicNetworkAccess="Disabled"))
        arm.put(KEY, {"properties": {"kty": "RSA"}})
        assert arm("DELETE", KEY).status == 403
        arm.delete(VAULT)


class TestRegistries:
    def test_name_is_taken_for_everybody(self, arm: Arm) -> None:
        assert arm.put(REGISTRY, registry())["properties"]["loginServer"] == "crone.azurecr.io"
        assert arm.refusal(f"{OTHER_GROUP}/{REGISTRIES}/crone", registry()).startswith("AlreadyInUse: ")

    @pytest.mark.parametrize(
        "properties",
        [
            {"publicNetworkAccess": "Disabled"},
            {"dataEndpointEnabled": True},
            {"policies": {"retentionPolicy": {"status": "enabled", "days": 7}}},
        ],
    )
    def test_premium_features_need_the_premium_sku(self, arm: Arm, properties: dict[str, Any]) -> None:
        assert arm.refusal(REGISTRY, registry("Basic", **properties)).startswith("FeatureNotSupported: ")
        arm.put(REGISTRY, registry(**properties))

    def test_export_can_be_forbidden_only_behind_a_closed_door(self, arm: Arm) -> None:
        policies = {"exportPolicy": {"status": "disabled"}}
        assert arm.refusal(REGISTRY, registry(policies=policies)).startswith("ExportPolicyInvalid: ")
        arm.put(REGISTRY, registry(policies=policies, publicNetworkAccess="Disabled"))

    def test_own_key_comes_with_the_registry_or_never(self, arm: Arm) -> None:
        arm.put(REGISTRY, registry())
        encryption = {"status": "enabled", "keyVaultProperties": {"keyIdentifier": "https://x/keys/k"}}
        assert arm.refusal(REGISTRY, registry(encryption=encryption)).startswith("CMKUpdateNotAllowed: ")

    def test_own_key_must_exist(self, arm: Arm) -> None:
        encryption = {
            "status": "enabled",
            "keyVaultProperties": {"keyIdentifier": "https://kv-none.vault.azure.net/keys/party"},
        }
        assert arm.refusal(REGISTRY, registry(encryption=encryption)).startswith("KeyVaultKeyNotFound: ")


DIGEST = f"sha256:{'a' * 64}"


class TestImports:
    """Two registries in two subscriptions; the first has an image."""

    SOURCE = f"{OTHER_SUBSCRIPTION}/resourceGroups/rg/{REGISTRIES}/crdev"

    @pytest.fixture
    def images(self, arm: Arm, tmp_path: Path) -> Snapshots:
        arm.put(f"{OTHER_SUBSCRIPTION}/resourceGroups/rg", {"location": "westeurope"})
        arm.put(self.SOURCE, registry())
        arm.put(REGISTRY, registry(publicNetworkAccess="Disabled"))
        images = Snapshots(tmp_path / "images")
        image = {"reference": f"crdev.azurecr.io/mlflow@{DIGEST}"}

        def write(folder: Path) -> None:
            (folder / "Dockerfile").write_text("FROM scratch")

        images.keep(image, write)
        return images

    def order(self, image: str = f"mlflow@{DIGEST}", **more: Any) -> dict[str, Any]:
        source = {"resourceId": self.SOURCE, "sourceImage": image}
        return {"source": source, "targetTags": ["mlflow:released"], "mode": "NoForce", **more}

    def ask(self, arm: Arm, body: dict[str, Any]) -> Response:
        return arm("POST", f"{REGISTRY}/importImage", body, **{"api-version": "2023-01-01-preview"})

    def test_a_closed_registry_takes_an_image_by_digest_and_once(self, arm: Arm, images: Snapshots) -> None:
        taken = self.ask(arm, self.order())
        assert taken.status == 202
        assert arm.follow(taken).status in {200, 204}
        assert images.has(f"crone.azurecr.io/mlflow@{DIGEST}")
        assert said(self.ask(arm, self.order())).startswith("Conflict: Tag mlflow:released already exists")
        assert self.ask(arm, self.order(mode="Force")).status == 202

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ({"sourceImage": f"mlflow@sha256:{'b' * 64}"}, "ManifestUnknown"),
            ({"sourceImage": "mlflow:latest"}, "ManifestUnknown"),
            ({"sourceImage": "hello-world", "resourceId": None, "registryUri": "docker.io"}, "ImportFailed"),
        ],
    )
    def test_what_cannot_be_had_is_said_by_the_operation(
        self, arm: Arm, images: Snapshots, source: dict[str, str | None], code: str
    ) -> None:
        """Azure takes every form (test_acr_image_import, azure-cli, 2019), and fails later.

        https://github.com/Azure/acr/issues/196
        """
        order = self.order()
        taken = self.ask(arm, order | {"source": order["source"] | source})
        assert taken.status == 202
        assert said(arm.follow(taken)).startswith(f"{code}: ")

    def test_an_imported_image_is_found_by_its_tag_and_under_each_target(
        self, arm: Arm, images: Snapshots
    ) -> None:
        """test_acr_image_import: by tag, to several targets, within one registry."""
        self.ask(arm, self.order())
        again = {"resourceId": REGISTRY, "sourceImage": "mlflow:released"}
        targets = {"targetTags": ["one:a", "two:b"], "untaggedTargetRepositories": ["three"]}
        assert arm.follow(self.ask(arm, {"source": again, **targets})).status in {200, 204}
        for name in ("one", "two", "three"):
            assert images.has(f"crone.azurecr.io/{name}@{DIGEST}")

    def test_an_order_without_one_source_is_refused(self, arm: Arm, images: Snapshots) -> None:
        for source in ({}, {"sourceImage": "a"}, {"sourceImage": "a", "resourceId": "b", "registryUri": "c"}):
            assert said(self.ask(arm, self.order() | {"source": source})).startswith("InvalidParameters: ")

    def test_whoever_imports_must_be_allowed_to_read_the_source(self, arm: Arm, images: Snapshots) -> None:
        mine = arm.as_caller(Caller(subscriptions=frozenset({SUBSCRIPTION.rpartition("/")[2]})))
        assert said(self.ask(mine, self.order())).startswith("LinkedAuthorizationFailed: ")
        assert not images.has(f"crone.azurecr.io/mlflow@{DIGEST}")

    def test_images_go_with_their_registry_and_stay_with_the_other(self, arm: Arm, images: Snapshots) -> None:
        self.ask(arm, self.order())
        arm.delete(self.SOURCE)
        assert not images.has(f"crdev.azurecr.io/mlflow@{DIGEST}")
        assert images.has(f"crone.azurecr.io/mlflow@{DIGEST}")
