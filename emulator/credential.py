"""A credential for Microsoft's own SDK clients, so that they can read an emulated deployment.

Use it with the emulator's address and authority::

    emulator = Emulator.ensure()
    NetworkManagementClient(
        EmulatorCredential(), subscription, base_url=emulator.record.arm,
        connection_verify=str(emulator.authority()),
    )

It signs tokens with the daemon's own key, which only the user of the clone can read; there is no sign-in.
"""

from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

from clone import paths
from emulator.arm import tokens


class EmulatorCredential:
    """Implements azure.core's TokenCredential and SupportsTokenInfo for the daemon of a home.

    `home` is the folder of the daemon's files (`paths.home()` by default). Raises FileNotFoundError when no
    daemon has ever run there.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._key = (home or paths.home()) / paths.token_key().relative_to(paths.home())

    def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> AccessToken:
        """Return a token for one scope, for example ``https://management.azure.com/.default``."""
        return AccessToken(*self._issue(scopes))

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Return the same as `get_token` in the newer shape."""
        return AccessTokenInfo(*self._issue(scopes))

    def _issue(self, scopes: tuple[str, ...]) -> tuple[str, int]:
        (scope,) = scopes
        audience = scope.removesuffix("/.default")
        return tokens.issue(self._key.read_bytes(), audience=audience)
