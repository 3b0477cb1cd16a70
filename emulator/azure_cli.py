"""What azure-cli needs to speak to an emulator: a configuration folder of its own, and a few variables.

The folder names a cloud ``fed`` whose Resource Manager is the emulator's, and signs in as a managed identity
by the emulator's own token endpoint (arm/sign_in.py), so that `az` works without `az login`. The user's own
configuration, logins and clouds are not touched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import certifi

from emulator.arm import sign_in, tokens

CLOUD = "fed"
VARIABLES = ("AZURE_CONFIG_DIR", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "REQUESTS_CA_BUNDLE")
"""What a shell is told; their values belong to one emulator."""

_CLOUDS = """[{cloud}]
endpoint_management = {arm}
endpoint_resource_manager = {arm}
endpoint_active_directory = {arm}
endpoint_active_directory_resource_id = {audience}
endpoint_active_directory_graph_resource_id = {arm}
endpoint_microsoft_graph_resource_id = {arm}
suffix_storage_endpoint = core.windows.net
suffix_keyvault_dns = .vault.azure.net
suffix_acr_login_server_endpoint = .azurecr.io
profile = latest
"""
_CONFIG = """[cloud]
name = {cloud}
[core]
collect_telemetry = no
[extension]
use_dynamic_install = no
"""


def prepare(
    folder: Path, *, arm: str, authority: Path, key: bytes, subscriptions: Sequence[str]
) -> dict[str, str]:
    """Write the configuration and return the variables.

    `folder` is private to the user; `arm` is the emulator's address, `authority` the certificate that signs
    it, `key` the key of its tokens, `subscriptions` the ids that `az` may choose from, the first by default.
    """
    (folder / "clouds.config").write_text(_CLOUDS.format(cloud=CLOUD, arm=arm, audience=tokens.AUDIENCE))
    (folder / "config").write_text(_CONFIG.format(cloud=CLOUD))
    (folder / "azureProfile.json").write_text(json.dumps(_profile(subscriptions)))
    bundle = folder / "authorities.pem"
    bundle.write_text(_trusted(bundle).read_text() + authority.read_text())
    values = (str(folder), arm + sign_in.TOKENS, tokens.identity_secret(key), str(bundle))
    return dict(zip(VARIABLES, values, strict=True))


def _trusted(bundle: Path) -> Path:
    """Return the authorities that the shell trusts already, so that it goes on to trust them."""
    own = os.environ.get("REQUESTS_CA_BUNDLE")
    return Path(own) if own and Path(own) != bundle else Path(certifi.where())


def _profile(subscriptions: Sequence[str]) -> dict[str, object]:
    """Return azure-cli's list of subscriptions, as `az login --identity` writes it."""
    identity = {"name": "systemAssignedIdentity", "type": "servicePrincipal", "assignedIdentityInfo": "MSI"}
    return {
        "subscriptions": [
            {
                "id": subscription,
                "name": f"Placeholder {subscription}",
                "state": "Enabled",
                "user": identity,
                "isDefault": number == 0,
                "tenantId": tokens.TENANT_ID,
                "homeTenantId": tokens.TENANT_ID,
                "environmentName": CLOUD,
                "managedByTenants": [],
            }
            for number, subscription in enumerate(subscriptions)
        ]
    }
