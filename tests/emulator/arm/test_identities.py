"""Who acts: identities on resources, roles by scope, keys that may be used, and vaults that were deleted."""

import uuid
from typing import Any

import pytest

from emulator.arm.tokens import DEPLOYER_OBJECT_ID, TENANT_ID
from tests.emulator.arm_client import GROUP, OTHER_GROUP, SUBSCRIPTION, Arm, said

IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-one"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
KEY = f"{VAULT}/keys/disk"
SET = f"{GROUP}/providers/Microsoft.Compute/diskEncryptionSets/des"
DISK = f"{GROUP}/providers/Microsoft.Compute/disks/data"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/crone1"
BACKUP = f"{GROUP}/providers/Microsoft.DataProtection/backupVaults/bvault"
ROLES = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
BACKUP_READER = "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24"
SNAPSHOTS = "7efff54f-a5b4-42b5-a1c5-5411624893ce"
WEST: dict[str, Any] = {"location": "westeurope"}


def owner(arm: Arm) -> dict[str, Any]:
    """An identity's computed properties."""
    properties: dict[str, Any] = arm.put(IDENTITY, WEST)["properties"]
    return properties


def assignment(scope: str) -> str:
    return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"


def grant(arm: Arm, scope: str, role: str, principal: str) -> str:
    path = assignment(scope)
    arm.put(path, {"properties": {"principalId": principal, "roleDefinitionId": f"{ROLES}/{role}"}})
    return path


def vault(arm: Arm, days: int = 90, **properties: Any) -> None:
    own: dict[str, Any] = {"tenantId": TENANT_ID, "sku": {"family": "A", "name": "standard"}}
    own |= {"enableRbacAuthorization": True, "softDeleteRetentionInDays": days}
    arm.put(VAULT, WEST | {"properties": own | properties})


def key(arm: Arm) -> str:
    made = arm.put(KEY, {"properties": {"kty": "RSA"}})
    version: str = made["properties"]["keyUriWithVersion"]
    return version


def assigned(*identities: str) -> dict[str, Any]:
    return {"type": "UserAssigned", "userAssignedIdentities": {one: {} for one in identities}}


class TestIdentities:
    def test_of_users_answer_with_a_lower_case_group(self, arm: Arm) -> None:
        made = arm.put(IDENTITY, WEST)
        assert made["id"] == IDENTITY.replace("resourceGroups", "resourcegroups")
        assert arm.put(IDENTITY, WEST)["properties"] == made["properties"]

    def test_on_resources_are_completed(self, arm: Arm) -> None:
        own = owner(arm)
        made = arm.put(REGISTRY, WEST | {"sku": {"name": "Basic"}, "identity": assigned(IDENTITY)})
        assert made["identity"]["userAssignedIdentities"] == {
            IDENTITY: {"principalId": own["principalId"], "clientId": own["clientId"]}
        }

    def test_of_the_system_stay_the_same_and_are_principals(self, arm: Arm) -> None:
        body = WEST | {"sku": {"name": "Basic"}, "identity": {"type": "SystemAssigned"}}
        principal = arm.put(REGISTRY, body)["identity"]["principalId"]
        assert arm.put(REGISTRY, body)["identity"]["principalId"] == principal
        grant(arm, GROUP, READER, principal)
        arm.delete(REGISTRY)
        assert arm.refusal(
            assignment(OTHER_GROUP), {"properties": {"principalId": principal, "roleDefinitionId": READER}}
        ).startswith("PrincipalNotFound")

    @pytest.mark.parametrize(
        ("identity", "code"),
        [
            ({"type": "Borrowed"}, "BadRequest"),
            (assigned(), "InvalidIdentityValues"),
            ({"type": "SystemAssigned", "userAssignedIdentities": {IDENTITY: {}}}, "InvalidIdentityValues"),
            (assigned(f"{IDENTITY}-none"), "FailedIdentityOperation"),
            (assigned(GROUP), "FailedIdentityOperation"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, arm: Arm, identity: dict[str, Any], code: str) -> None:
        body = WEST | {"sku": {"name": "Basic"}, "identity": identity}
        assert arm.refusal(REGISTRY, body).startswith(code)


class TestRoles:
    def test_of_the_deployer_can_be_assigned(self, arm: Arm) -> None:
        grant(arm, GROUP, READER, DEPLOYER_OBJECT_ID)

    def test_of_people_are_taken_on_trust(self, arm: Arm) -> None:
        body = {"principalId": str(uuid.uuid4()), "roleDefinitionId": READER, "principalType": "Group"}
        assert arm.put(assignment(GROUP), {"properties": body})["properties"]["principalType"] == "Group"

    def test_apply_from_above_and_are_listed_so(self, arm: Arm) -> None:
        principal = owner(arm)["principalId"]
        above, here = grant(arm, SUBSCRIPTION, READER, principal), grant(arm, GROUP, READER, principal)
        below, other = grant(arm, IDENTITY, READER, principal), grant(arm, OTHER_GROUP, READER, principal)
        path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments"
        listed = {one["id"] for one in arm.get(path)["value"]}
        assert listed == {above, here, below}
        at_scope = {one["id"] for one in arm.get(path, **{"$filter": "atScope()"})["value"]}
        assert at_scope == {above, here}
        assert other not in listed
        nobody = {"$filter": f"principalId eq '{uuid.uuid4()}'"}
        assert arm.get(path, **nobody)["value"] == []

    def test_are_read_by_guid(self, arm: Arm) -> None:
        assert arm.get(f"{ROLES}/{READER}")["properties"]["roleName"] == "Reader"
        assert said(arm("GET", f"{ROLES}/{uuid.uuid4()}")).startswith("RoleDefinitionDoesNotExist")
        assert arm("DELETE", f"{ROLES}/{READER}").status == 204
        assert arm.get(f"{ROLES}/{READER}")["properties"]["roleName"] == "Reader"

    def test_are_assigned_under_guids(self, arm: Arm) -> None:
        body = {"properties": {"principalId": owner(arm)["principalId"], "roleDefinitionId": READER}}
        path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/reader"
        assert arm.refusal(path, body).startswith("InvalidRoleAssignmentId")

    def test_with_conditions_need_their_version(self, arm: Arm) -> None:
        body = {"principalId": owner(arm)["principalId"], "roleDefinitionId": READER, "condition": "x"}
        assert arm.refusal(assignment(GROUP), {"properties": body}).startswith("InvalidConditionVersion")

    def test_under_one_guid_at_two_scopes_are_refused(self, arm: Arm) -> None:
        path = grant(arm, GROUP, READER, owner(arm)["principalId"])
        twin = path.replace("/rg/", "/other/")
        body = {"properties": {"principalId": owner(arm)["principalId"], "roleDefinitionId": READER}}
        assert arm.refusal(twin, body).startswith("RoleAssignmentUpdateNotPermitted")

    def test_outlive_their_principal_and_go_with_their_scope(self, arm: Arm) -> None:
        path = grant(arm, IDENTITY, READER, owner(arm)["principalId"])
        outer = grant(arm, GROUP, READER, owner(arm)["principalId"])
        arm.delete(IDENTITY)
        assert arm("GET", path).status == 404
        assert arm("GET", outer).status == 200


class TestKeys:
    def encryption_set(self, url: str) -> dict[str, Any]:
        return WEST | {"identity": assigned(IDENTITY), "properties": {"activeKey": {"keyUrl": url}}}

    @pytest.mark.parametrize("scope", [KEY, VAULT, GROUP, SUBSCRIPTION])
    def test_may_be_used_with_a_role_on_them_or_above(self, arm: Arm, scope: str) -> None:
        principal = owner(arm)["principalId"]
        vault(arm, enablePurgeProtection=True)
        url = key(arm)
        assert arm.refusal(SET, self.encryption_set(url)).startswith("KeyVaultAccessForbidden")
        grant(arm, scope, ENCRYPTION_USER, principal)
        arm.put(SET, self.encryption_set(url))
        disk = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 8}
        disk |= {"encryption": {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": SET}}
        arm.put(DISK, WEST | {"properties": disk})
        assert said(arm("DELETE", SET)).startswith("OperationNotAllowed")
        arm.delete(DISK)
        arm.delete(SET)

    def test_may_be_used_by_a_vaults_own_policies(self, arm: Arm) -> None:
        permissions = {"keys": ["Get", "WrapKey", "UnwrapKey"]}
        policy = {"tenantId": TENANT_ID, "objectId": owner(arm)["principalId"], "permissions": permissions}
        more: dict[str, Any] = {"enableRbacAuthorization": False, "accessPolicies": [policy]}
        vault(arm, enablePurgeProtection=True, **more)
        arm.put(SET, self.encryption_set(key(arm)))

    def system_set(self, url: str) -> dict[str, Any]:
        return self.encryption_set(url) | {"identity": {"type": "SystemAssigned"}}

    def encrypted_disk(self) -> dict[str, Any]:
        own = {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": SET}
        disk = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 8, "encryption": own}
        return WEST | {"properties": disk}

    def test_of_a_closed_vault_are_for_a_sets_own_identity(self, arm: Arm) -> None:
        """A user-assigned one is no trusted service: Azure/HubAndSpokeResearchEnclave#205 (open bug)."""
        grant(arm, GROUP, ENCRYPTION_USER, owner(arm)["principalId"])
        vault(arm, enablePurgeProtection=True, publicNetworkAccess="Disabled")
        url = key(arm)
        assert arm.refusal(SET, self.encryption_set(url)).startswith("KeyVaultAccessForbidden")
        made = arm.put(SET, self.system_set(url))
        assert arm.refusal(DISK, self.encrypted_disk()).startswith("KeyVaultAccessForbidden")
        assert arm.refusal(SET, self.system_set(url)).startswith("KeyVaultAccessForbidden")
        grant(arm, KEY, ENCRYPTION_USER, made["identity"]["principalId"])
        arm.put(SET, self.system_set(url))
        arm.put(DISK, self.encrypted_disk())

    def test_of_a_vault_closed_to_all_services_serve_nobody(self, arm: Arm) -> None:
        rules = {"bypass": "None", "defaultAction": "Deny"}
        vault(arm, enablePurgeProtection=True, networkAcls=rules)
        made = arm.put(SET, self.system_set(key(arm)))
        grant(arm, KEY, ENCRYPTION_USER, made["identity"]["principalId"])
        assert arm.refusal(DISK, self.encrypted_disk()).startswith("KeyVaultAccessForbidden")

    def test_of_a_closed_vault_encrypt_accounts_and_no_registries(self, arm: Arm) -> None:
        """Storage is trusted with any identity; a registry is not: MicrosoftDocs/azure-docs#61015."""
        own = owner(arm)
        grant(arm, GROUP, ENCRYPTION_USER, own["principalId"])
        vault(arm, enablePurgeProtection=True, publicNetworkAccess="Disabled")
        url = key(arm).rsplit("/", 1)[0]
        assert "not a trusted service" in arm.refusal(REGISTRY, self.registry(url, own["clientId"]))
        encryption = {
            "keySource": "Microsoft.Keyvault",
            "keyvaultproperties": {"keyname": "disk", "keyvaulturi": "https://kv-one.vault.azure.net"},
            "identity": {"userAssignedIdentity": IDENTITY},
        }
        account = {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "identity": assigned(IDENTITY)}
        arm.put(
            f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stone",
            WEST | account | {"properties": {"encryption": encryption}},
        )

    def test_of_an_unprotected_vault_are_taken(self, arm: Arm) -> None:
        """Recorded 2025-03-31: Test_Compute_DiskEncryptionSet_20240302_CRUD, and ..._20220702_CRUD."""
        grant(arm, GROUP, ENCRYPTION_USER, owner(arm)["principalId"])
        vault(arm)
        assert arm.put(SET, self.encryption_set(key(arm)))["properties"]["provisioningState"] == "Succeeded"

    def test_need_their_version_for_disks(self, arm: Arm) -> None:
        grant(arm, GROUP, ENCRYPTION_USER, owner(arm)["principalId"])
        vault(arm, enablePurgeProtection=True)
        versionless = key(arm).rsplit("/", 1)[0]
        assert arm.refusal(SET, self.encryption_set(versionless)).startswith("InvalidParameter")

    def registry(self, url: str, identity: str) -> dict[str, Any]:
        wanted = {"keyIdentifier": url, "identity": identity}
        encryption = {"status": "enabled", "keyVaultProperties": wanted}
        own = {"sku": {"name": "Premium"}, "identity": assigned(IDENTITY)}
        return WEST | own | {"properties": {"encryption": encryption}}

    def test_encrypt_registries_from_the_start(self, arm: Arm) -> None:
        own = owner(arm)
        vault(arm, enablePurgeProtection=True)
        url = key(arm).rsplit("/", 1)[0]
        assert arm.refusal(REGISTRY, self.registry(url, str(uuid.uuid4()))).startswith("CMKIdentityNotFound")
        assert arm.refusal(REGISTRY, self.registry(url, own["clientId"])).startswith("KeyVaultAccessDenied")
        assert arm.refusal(REGISTRY, self.registry(f"{url}none", own["clientId"])).startswith(
            "KeyVaultKeyNotFound"
        )
        grant(arm, KEY, ENCRYPTION_USER, own["principalId"])
        made = arm.put(REGISTRY, self.registry(url, own["clientId"]))
        assert made["properties"]["encryption"]["status"] == "enabled"


class TestDeletedVaults:
    WHERE = f"{SUBSCRIPTION}/providers/Microsoft.KeyVault"

    def test_keep_their_name_until_they_are_purged(self, arm: Arm) -> None:
        vault(arm)
        arm.delete(VAULT)
        own = {"tenantId": TENANT_ID, "sku": {"family": "A", "name": "standard"}}
        assert arm.refusal(VAULT, WEST | {"properties": own}).startswith("ConflictError")
        elsewhere = VAULT.replace("/rg/", "/other/")
        assert arm.refusal(elsewhere, WEST | {"properties": own}).startswith("VaultAlreadyExists")
        listed = arm.get(f"{self.WHERE}/deletedVaults")["value"]
        assert [one["properties"]["vaultId"] for one in listed] == [VAULT]
        path = f"{self.WHERE}/locations/westeurope/deletedVaults/kv-one"
        assert arm.get(path)["properties"]["purgeProtectionEnabled"] is False
        # test_keyvault_whenPurgeSpecified_purgesSuccessfully, 2025: 202 with a Location
        purged = arm("POST", f"{path}/purge")
        assert (purged.status, arm.follow(purged).status) == (202, 200)
        assert said(arm("GET", path)).startswith("DeletedVaultNotFound")
        arm.put(elsewhere, WEST | {"properties": own})

    def test_come_back_when_asked_for(self, arm: Arm) -> None:
        vault(arm)
        arm.delete(VAULT)
        vault(arm, createMode="recover")
        assert "createMode" not in arm.get(VAULT)["properties"]

    def test_that_are_protected_cannot_be_purged(self, arm: Arm) -> None:
        vault(arm, days=7, enablePurgeProtection=True)
        arm.delete(VAULT)
        path = f"{self.WHERE}/locations/westeurope/deletedVaults/kv-one"
        assert said(arm("POST", f"{path}/purge")).startswith("MethodNotAllowed")

    def test_vaults_have_names_of_their_own_rule(self, arm: Arm) -> None:
        own = {"tenantId": TENANT_ID, "sku": {"family": "A", "name": "standard"}}
        for name in ("kv", "1kv", "kv--one", "kv-", "k" * 25):
            path = VAULT.replace("kv-one", name)
            assert arm.refusal(path, WEST | {"properties": own}).startswith("VaultNameNotValid"), name

    def test_a_closed_vault_keeps_its_keys_from_a_deployer_outside(self, arm: Arm) -> None:
        vault(arm, publicNetworkAccess="Disabled")
        key(arm)
        assert said(arm("DELETE", KEY)).startswith("Forbidden")


class TestBackup:
    POLICY = f"{BACKUP}/backupPolicies/daily"
    INSTANCE = f"{BACKUP}/backupInstances/data"

    @pytest.fixture(autouse=True)
    def _vault(self, arm: Arm) -> None:
        setting = {"datastoreType": "OperationalStore", "type": "LocallyRedundant"}
        body = WEST | {"identity": {"type": "SystemAssigned"}, "properties": {"storageSettings": [setting]}}
        self.vault = body
        self.principal = arm.put(BACKUP, body)["identity"]["principalId"]
        arm.put(self.POLICY, self.policy())
        disk = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 8}
        arm.put(DISK, WEST | {"properties": disk})

    def policy(self, kind: str = "Microsoft.Compute/disks") -> dict[str, Any]:
        return {"properties": {"datasourceTypes": [kind], "objectType": "BackupPolicy", "policyRules": []}}

    def instance(self, policy: str | None = None) -> dict[str, Any]:
        parameters = {"dataStoreType": "OperationalStore", "objectType": "AzureOperationalStoreParameters"}
        lists = {"dataStoreParametersList": [parameters | {"resourceGroupId": OTHER_GROUP}]}
        return {
            "properties": {
                "objectType": "BackupInstance",
                "dataSourceInfo": {"resourceID": DISK, "datasourceType": "Microsoft.Compute/disks"},
                "policyInfo": {"policyId": policy or self.POLICY, "policyParameters": lists},
            }
        }

    def allow(self, arm: Arm) -> None:
        grant(arm, DISK, BACKUP_READER, self.principal)
        grant(arm, OTHER_GROUP, SNAPSHOTS, self.principal)

    def state(self, arm: Arm) -> str:
        properties = arm.get(self.INSTANCE)["properties"]
        assert properties["provisioningState"] == "Succeeded"
        assert properties["protectionStatus"]["status"] == properties["currentProtectionState"]
        found: str = properties["currentProtectionState"]
        return found

    def may(self, arm: Arm) -> str:
        """What the vault says when it is asked whether it may back up: ``yes`` or its error."""
        body = {"backupInstance": self.instance()["properties"]}
        version = {"api-version": "2025-01-01"}
        asked = arm("POST", f"{BACKUP}/validateForBackup", body, **version)
        where = asked.headers["azure-asyncoperation"].removeprefix("https://management.azure.com")
        done = arm.get(where.partition("?")[0], **version)
        return f"{done['error']['code']}: {done['error']['message']}" if "error" in done else "yes"

    def test_is_accepted_without_its_roles_and_fails_for_good_until_a_sync(self, arm: Arm) -> None:
        """Azure, 2024-08-15: azure-service-operator's Test_DataProtection_BackupInstance_20231101_CRUD."""
        arm.put(self.INSTANCE, self.instance())
        assert self.state(arm) == "ProtectionError"
        error = arm.get(self.INSTANCE)["properties"]["protectionErrorDetails"]
        assert error["code"] == "UserErrorMissingPermissions"
        assert "Disk Backup Reader and Disk Snapshot Contributor" in error["message"]
        self.allow(arm)
        assert self.state(arm) == "ProtectionError"
        version = {"api-version": "2025-01-01"}
        assert arm("POST", f"{self.INSTANCE}/sync", {"syncType": "Default"}, **version).status == 202
        assert self.state(arm) == "ProtectionConfigured"

    def test_needs_both_roles_where_they_are_used(self, arm: Arm) -> None:
        grant(arm, DISK, BACKUP_READER, self.principal)
        grant(arm, GROUP, SNAPSHOTS, self.principal)
        assert "lacks Disk Snapshot Contributor," in self.may(arm)
        grant(arm, OTHER_GROUP, SNAPSHOTS, self.principal)
        assert self.may(arm) == "yes"
        arm.put(self.INSTANCE, self.instance())
        assert self.state(arm) == "ProtectionConfigured"

    def test_stays_for_its_days_where_the_vault_keeps_what_is_deleted(self, arm: Arm) -> None:
        """Azure moved a disk's instance to deletedBackupInstances: azure-cli's recording of 2026-08-31."""
        keep = {"softDeleteSettings": {"state": "On", "retentionDurationInDays": 14}}
        properties = {**self.vault["properties"], "securitySettings": keep}
        arm.put(BACKUP, self.vault | {"properties": properties})
        self.allow(arm)
        arm.put(self.INSTANCE, self.instance())
        arm.delete(self.INSTANCE)
        (kept,) = arm.get(f"{BACKUP}/deletedBackupInstances", **{"api-version": "2025-01-01"})["value"]
        assert kept["properties"]["currentProtectionState"] == "SoftDeleted"
        arm.delete(BACKUP)
        arm.put(BACKUP, self.vault)
        assert not arm.get(f"{BACKUP}/deletedBackupInstances", **{"api-version": "2025-01-01"})["value"]

    def test_holds_its_vault_and_its_policy(self, arm: Arm) -> None:
        self.allow(arm)
        arm.put(self.INSTANCE, self.instance())
        assert said(arm("DELETE", BACKUP)).startswith("ServiceResourceNotEmptyWithContainerDetails")
        assert said(arm("DELETE", self.POLICY)).startswith("UserErrorPolicyInUse")
        arm.delete(self.INSTANCE)
        arm.delete(BACKUP)

    def test_policies_and_redundancy_are_fixed(self, arm: Arm) -> None:
        assert arm.refusal(
            self.POLICY, self.policy("Microsoft.Storage/storageAccounts/blobServices")
        ).startswith("UserErrorPolicyCannotBeModified")
        other = {"datastoreType": "OperationalStore", "type": "ZoneRedundant"}
        changed = self.vault | {"properties": {"storageSettings": [other]}}
        assert arm.refusal(BACKUP, changed).startswith("BMSUserErrorRedundancySettingsCannotBeChanged")

    def test_takes_a_policy_for_disks(self, arm: Arm) -> None:
        self.allow(arm)
        blobs = f"{BACKUP}/backupPolicies/blobs"
        arm.put(blobs, self.policy("Microsoft.Storage/storageAccounts/blobServices"))
        assert arm.refusal(self.INSTANCE, self.instance(blobs)).startswith("UserErrorPolicyTypeMismatch")

    def test_takes_a_disk_of_its_region(self, arm: Arm) -> None:
        self.allow(arm)
        far = DISK.replace("data", "far")
        disk = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 8}
        arm.put(far, {"location": "northeurope", "properties": disk})
        body = self.instance()
        body["properties"]["dataSourceInfo"]["resourceID"] = far
        assert arm.refusal(self.INSTANCE, body).startswith("UserErrorDatasourceAndVaultRegionMismatch")
