"""Storage accounts, blob services, containers and lifecycle rules: Azure's rules one by one."""

from typing import Any

import pytest

from tests.emulator.arm_client import GROUP, OTHER_GROUP, OTHER_SUBSCRIPTION, Arm, said

ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stone"
SERVICE = f"{ACCOUNT}/blobServices/default"
CONTAINER = f"{SERVICE}/containers/client-cleveland"
LIFECYCLE = f"{ACCOUNT}/managementPolicies/default"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
KEY = f"{VAULT}/keys/storage"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-key"
ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
ROLE = f"{KEY}/providers/Microsoft.Authorization/roleAssignments/3f1b6a1e-6f6d-4a44-8f0e-5b0d8c1e2a01"


def account(sku: str = "Standard_LRS", kind: str = "StorageV2", **properties: Any) -> dict[str, Any]:
    return {"location": "westeurope", "kind": kind, "sku": {"name": sku}, "properties": properties}


class TestAccounts:
    def test_answer_what_azure_computes(self, arm: Arm) -> None:
        made = arm.put(ACCOUNT, account())
        assert made["sku"] == {"name": "Standard_LRS", "tier": "Standard"}
        properties = made["properties"]
        assert properties["primaryEndpoints"]["blob"] == "https://stone.blob.core.windows.net/"
        assert properties["primaryLocation"] == "westeurope"
        assert properties["statusOfPrimary"] == "available"
        assert properties["encryption"]["keySource"] == "Microsoft.Storage"
        assert properties["privateEndpointConnections"] == []

    def test_geo_redundant_ones_have_a_second_region(self, arm: Arm) -> None:
        properties = arm.put(ACCOUNT, account("Standard_RAGRS"))["properties"]
        assert properties["secondaryLocation"] == "northeurope"
        assert properties["secondaryEndpoints"]["blob"] == "https://stone-secondary.blob.core.windows.net/"

    @pytest.mark.parametrize(
        ("region", "sku"),
        [
            ("italynorth", "Standard_GZRS"),  # https://github.com/Azure/ALZ-PowerShell-Module/issues/291
            ("westus", "Standard_ZRS"),  # https://github.com/Esri/arcgis-gitops/issues/160
            ("polandcentral", "Standard_GRS"),
        ],
    )
    def test_refuse_copies_that_a_region_does_not_offer(self, arm: Arm, region: str, sku: str) -> None:
        refusal = arm.refusal(ACCOUNT, account(sku) | {"location": region})
        assert refusal.startswith("RedundancyConfigurationNotAvailableInRegion")
        assert f"Sku: {sku}, Kind: StorageV2 - not available in selected Region - {region}" in refusal

    @pytest.mark.parametrize("name", ["st", "St-One", "st_one", "s" * 25])
    def test_refuse_bad_names(self, arm: Arm, name: str) -> None:
        path = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}"
        assert arm.refusal(path, account()).startswith("AccountNameInvalid")

    @pytest.mark.parametrize(
        ("group", "code"),
        [
            (OTHER_GROUP, "StorageAccountAlreadyExists"),
            (f"{OTHER_SUBSCRIPTION}/resourceGroups/rg", "StorageAccountAlreadyTaken"),
        ],
    )
    def test_names_are_unique_in_the_world(self, arm: Arm, group: str, code: str) -> None:
        arm.put(group, {"location": "westeurope"})
        arm.put(ACCOUNT, account())
        path = f"{group}/providers/Microsoft.Storage/storageAccounts/stone"
        assert arm.refusal(path, account()).startswith(code)
        arm.delete(ACCOUNT)
        arm.put(path, account())

    def test_names_can_be_asked_for(self, arm: Arm) -> None:
        path = f"{GROUP.rsplit('/', 2)[0]}/providers/Microsoft.Storage/checkNameAvailability"

        def ask(name: str) -> dict[str, Any]:
            body = {"name": name, "type": "Microsoft.Storage/storageAccounts"}
            answer = arm("POST", path, body)
            assert answer.body is not None
            return dict(answer.body)

        arm.put(ACCOUNT, account())
        assert ask("stfree") == {"nameAvailable": True}
        assert ask("stone")["reason"] == "AlreadyExists"
        assert ask("St-One")["reason"] == "AccountNameInvalid"

    @pytest.mark.parametrize(
        ("before", "after", "code"),
        [
            (account(), account(isHnsEnabled=True), "AccountPropertyCannotBeUpdated"),
            (account(isHnsEnabled=False), account(isHnsEnabled=True), "AccountPropertyCannotBeUpdated"),
            (account(), account(kind="BlobStorage"), "AccountPropertyCannotBeUpdated"),
            (account(), account("Standard_ZRS"), "StorageAccountTypeConversionNotAllowed"),
            (account(), account("Premium_LRS"), "StorageAccountTypeConversionNotAllowed"),
            (
                account(encryption={"requireInfrastructureEncryption": False}),
                account(encryption={"requireInfrastructureEncryption": True}),
                "AccountPropertyCannotBeUpdated",
            ),
        ],
    )
    def test_refuse_changes_that_azure_refuses(
        self, arm: Arm, before: dict[str, Any], after: dict[str, Any], code: str
    ) -> None:
        arm.put(ACCOUNT, before)
        assert arm.refusal(ACCOUNT, after).startswith(code)

    def test_take_other_changes(self, arm: Arm) -> None:
        created = arm.put(ACCOUNT, account())["properties"]["creationTime"]
        changed = arm.put(ACCOUNT, account("Standard_GRS", accessTier="Cool"))
        assert changed["properties"]["creationTime"] == created
        assert changed["properties"]["accessTier"] == "Cool"

    def test_hand_out_keys_only_where_keys_are_allowed(self, arm: Arm) -> None:
        arm.put(ACCOUNT, account())
        first, again = (arm("POST", f"{ACCOUNT}/listKeys").body for _ in range(2))
        assert first is not None
        assert first == again
        assert [key["keyName"] for key in first["keys"]] == ["key1", "key2"]
        arm.put(ACCOUNT, account(allowSharedKeyAccess=False))
        assert said(arm("POST", f"{ACCOUNT}/listKeys")).startswith("KeyBasedAuthenticationNotPermitted")

    def test_tags_change_by_patch_alone(self, arm: Arm) -> None:
        arm.put(ACCOUNT, account(accessTier="Cool"))
        changed = arm("PATCH", ACCOUNT, {"tags": {"a": "b"}}).body
        assert changed is not None
        assert changed["tags"] == {"a": "b"}
        assert changed["properties"]["accessTier"] == "Cool"


class TestOwnKeys:
    @pytest.fixture(autouse=True)
    def _vault(self, arm: Arm) -> None:
        self.principal = arm.put(IDENTITY, {"location": "westeurope"})["properties"]["principalId"]

    def vault(self, arm: Arm, **properties: Any) -> None:
        tenant = "5f1c0a7e-7d43-4c0b-9a55-f2a4d3a7be01"
        body = {
            "tenantId": tenant,
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": True,
        }
        arm.put(VAULT, {"location": "westeurope", "properties": body | properties})
        arm.put(KEY, {"properties": {"kty": "RSA", "keySize": 3072}})

    def grant(self, arm: Arm) -> None:
        role = f"/providers/Microsoft.Authorization/roleDefinitions/{ENCRYPTION_USER}"
        body = {"roleDefinitionId": role, "principalId": self.principal, "principalType": "ServicePrincipal"}
        arm.put(ROLE, {"properties": body})

    def encrypted(self, key: str = "storage", identity: str = IDENTITY) -> dict[str, Any]:
        encryption = {
            "keySource": "Microsoft.Keyvault",
            "keyvaultproperties": {"keyname": key, "keyvaulturi": "https://kv-one.vault.azure.net/"},
            "identity": {"userAssignedIdentity": identity},
        }
        own = {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
        return account(encryption=encryption) | {"identity": own}

    def test_encrypt_with_a_role_on_a_protected_vault(self, arm: Arm) -> None:
        self.vault(arm, enablePurgeProtection=True)
        self.grant(arm)
        made = arm.put(ACCOUNT, self.encrypted())
        current = made["properties"]["encryption"]["keyvaultproperties"]["currentVersionedKeyIdentifier"]
        assert current == arm.get(KEY)["properties"]["keyUriWithVersion"]
        assert made["identity"]["userAssignedIdentities"][IDENTITY]["principalId"] == self.principal

    def test_need_a_vault_with_purge_protection(self, arm: Arm) -> None:
        self.vault(arm)
        self.grant(arm)
        assert arm.refusal(ACCOUNT, self.encrypted()) == (
            "KeyVaultPolicyError: Keyvault policy recoverable is not set."
        )

    def test_need_the_role(self, arm: Arm) -> None:
        self.vault(arm, enablePurgeProtection=True)
        assert arm.refusal(ACCOUNT, self.encrypted()).startswith("KeyVaultAuthenticationFailure")

    def test_need_the_vault_and_the_key(self, arm: Arm) -> None:
        assert arm.refusal(ACCOUNT, self.encrypted()).startswith("KeyVaultVaultNotFound")
        self.vault(arm, enablePurgeProtection=True)
        assert arm.refusal(ACCOUNT, self.encrypted(key="none")).startswith("KeyVaultKeyNotFound")

    def test_need_an_identity_of_the_account(self, arm: Arm) -> None:
        self.vault(arm, enablePurgeProtection=True)
        self.grant(arm)
        body = self.encrypted(identity=f"{IDENTITY}2")
        assert "not among the account's own identities" in arm.refusal(ACCOUNT, body)


class TestBlobServices:
    @pytest.fixture(autouse=True)
    def _account(self, arm: Arm) -> None:
        arm.put(ACCOUNT, account())

    def test_exist_with_their_account(self, arm: Arm) -> None:
        there = arm.get(SERVICE)
        assert there["sku"]["name"] == "Standard_LRS"
        assert there["properties"]["cors"] == {"corsRules": []}

    def test_cannot_be_deleted(self, arm: Arm) -> None:
        assert arm("DELETE", SERVICE).status == 405

    def test_restore_within_what_is_kept(self, arm: Arm) -> None:
        good = {
            "isVersioningEnabled": True,
            "changeFeed": {"enabled": True},
            "deleteRetentionPolicy": {"enabled": True, "days": 8},
            "restorePolicy": {"enabled": True, "days": 7},
        }
        arm.put(SERVICE, {"properties": good})
        bad: list[dict[str, Any]] = [
            {"isVersioningEnabled": False},
            {"changeFeed": {"enabled": False}},
            {"deleteRetentionPolicy": {"enabled": True, "days": 7}},
            {"deleteRetentionPolicy": {"enabled": True, "days": 400}},
        ]
        for change in bad:
            refusal = arm.refusal(SERVICE, {"properties": good | change})
            assert refusal.startswith("InvalidRequestPropertyValue"), change

    def test_have_no_versions_in_a_hierarchical_namespace(self, arm: Arm) -> None:
        arm.put(f"{ACCOUNT}2", account(isHnsEnabled=True))
        body = {"properties": {"isVersioningEnabled": True}}
        assert arm.refusal(f"{ACCOUNT}2/blobServices/default", body).startswith("InvalidRequestPropertyValue")


class TestContainers:
    @pytest.fixture(autouse=True)
    def _account(self, arm: Arm) -> None:
        arm.put(ACCOUNT, account())

    def test_answer_what_azure_computes(self, arm: Arm) -> None:
        made = arm.put(CONTAINER, {"properties": {}})
        assert made["properties"]["publicAccess"] == "None"
        assert made["properties"]["leaseState"] == "Available"
        assert made["properties"]["hasImmutabilityPolicy"] is False
        assert made["etag"].startswith('"')
        assert [one["name"] for one in arm.get(f"{SERVICE}/containers")["value"]] == ["client-cleveland"]

    @pytest.mark.parametrize("name", ["ab", "Server", "a--b", "-ab", "ab-", "a" * 64])
    def test_refuse_bad_names(self, arm: Arm, name: str) -> None:
        assert arm.refusal(f"{SERVICE}/containers/{name}", {}).startswith("InvalidResourceName")

    def test_are_public_only_where_the_account_is(self, arm: Arm) -> None:
        body = {"properties": {"publicAccess": "Blob"}}
        assert arm.refusal(CONTAINER, body).startswith("PublicAccessNotPermitted")
        arm.put(ACCOUNT, account(allowBlobPublicAccess=True))
        arm.put(CONTAINER, body)

    def test_are_named_when_missing(self, arm: Arm) -> None:
        assert said(arm("GET", CONTAINER)).startswith("ContainerNotFound")

    def test_need_their_account(self, arm: Arm) -> None:
        path = f"{ACCOUNT}2/blobServices/default/containers/server"
        assert arm.refusal(path, {}).startswith("ParentResourceNotFound")

    def test_go_with_their_account(self, arm: Arm) -> None:
        arm.put(CONTAINER, {})
        arm.delete(ACCOUNT)
        arm.put(ACCOUNT, account())
        assert arm.get(f"{SERVICE}/containers")["value"] == []


class TestLifecycleRules:
    RULE: dict[str, Any] = {  # noqa: RUF012 a constant of the tests
        "name": "old",
        "type": "Lifecycle",
        "definition": {
            "actions": {"version": {"delete": {"daysAfterCreationGreaterThan": 90}}},
            "filters": {"blobTypes": ["blockBlob"]},
        },
    }

    @pytest.fixture(autouse=True)
    def _account(self, arm: Arm) -> None:
        arm.put(ACCOUNT, account())

    def test_are_missing_until_written(self, arm: Arm) -> None:
        assert said(arm("GET", LIFECYCLE)).startswith("ManagementPolicyNotFound")
        made = arm.put(LIFECYCLE, {"properties": {"policy": {"rules": [self.RULE]}}})
        assert made["properties"]["lastModifiedTime"]

    @pytest.mark.parametrize("rules", [[], [RULE, RULE]])
    def test_need_names_of_their_own(self, arm: Arm, rules: list[dict[str, Any]]) -> None:
        body = {"properties": {"policy": {"rules": rules}}}
        assert arm.refusal(LIFECYCLE, body).startswith("InvalidValuesForRequestParameters")
