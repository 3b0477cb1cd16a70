"""How Azure answers a PUT and a DELETE that it accepts, type by type.

Counted over 756 recordings of Azure made by the test suites of azure-service-operator (2023-11 to 2025-10)
and azure-cli (2018 to 2020); tests/emulator/arm/test_answers.py names them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

STATUS_URL = "azure-asyncoperation"
RESULT_URL = "location"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The statuses, states and headers of accepted writes and deletions.

    `creating` and `updating` are the provisioningState while a PUT is under way; empty: it has ended when it
    is answered. `pace` holds the seconds of Retry-After after a PUT and after a DELETE.
    """

    created: int = 201
    updated: int = 200
    deleted: int = 200
    creating: str = ""
    updating: str = ""
    body: bool = True
    """Whether a 202 carries the resource; without it, Location answers 202 until it answers the resource."""
    deleted_body: bool = False
    """Whether a DELETE answers what was deleted."""
    written_urls: tuple[str, ...] = ()
    deleted_urls: tuple[str, ...] = (STATUS_URL, RESULT_URL)
    pace: tuple[float, float] = (10, 10)
    placed: bool = False
    """Whether the answer to a creation says in Location where the resource is."""

    def status(self, *, created: bool) -> int:
        """Return the status of an accepted PUT."""
        return self.created if created else self.updated

    def state(self, *, created: bool) -> str:
        """Return the provisioningState that an accepted PUT answers, empty when it is over."""
        return self.creating if created else self.updating

    def bodiless(self, *, created: bool) -> bool:
        """Say whether an accepted PUT is answered without the resource."""
        return not self.body and self.status(created=created) == 202


AT_ONCE = Answers()
"""201 or 200 with the resource; a DELETE has ended when it is answered."""
PLACED = Answers(placed=True)
"""Managed identities and their credentials (73 of 78 recorded)."""
REPLACED = Answers(created=200)
"""Providers that do not tell a new resource from an old one: 200 for both."""
GRANT = Answers(deleted_body=True)
"""Role assignments: https://learn.microsoft.com/rest/api/authorization/role-assignments/delete."""
ROLE = Answers(updated=201, deleted_body=True)
"""Role definitions: https://learn.microsoft.com/rest/api/authorization/role-definitions/create-or-update."""
NETWORK = Answers(
    deleted=202, creating="Updating", updating="Updating", written_urls=(STATUS_URL,), pace=(3, 10)
)
"""Microsoft.Network: no Location in the answer to a PUT."""
NETWORK_AT_ONCE = replace(NETWORK, creating="", updating="")
"""Interfaces and watchers: made when the PUT is answered, removed in their time."""
PRIVATE_DNS = replace(
    NETWORK, created=202, updated=202, body=False, written_urls=(STATUS_URL, RESULT_URL), pace=(30, 30)
)
DISK = Answers(
    created=202,
    updated=202,
    deleted=202,
    creating="Updating",
    updating="Updating",
    written_urls=(STATUS_URL, RESULT_URL),
    pace=(2, 2),
)
MACHINE = Answers(deleted=202, creating="Creating", updating="Updating", written_urls=(STATUS_URL,))
REGISTRY = replace(REPLACED, deleted=202, deleted_urls=(RESULT_URL,))
"""Deletions were answered 200 in 2020 (7 recorded) and 202 since (2 of 2, 2025)."""
VAULT = replace(REPLACED, creating="RegisteringDns")
ACCOUNT = Answers(created=202, creating="Creating", body=False, written_urls=(RESULT_URL,), pace=(17, 17))
WORKSPACE = Answers(creating="Creating")
BACKUP = Answers(deleted=202, creating="Provisioning", updating="Updating", written_urls=(STATUS_URL,))
CONNECTION = Answers(deleted=202, creating="Updating", updating="Updating", written_urls=(STATUS_URL,))
REGISTRY_CONNECTION = replace(CONNECTION, updated=201, deleted_urls=(RESULT_URL,))
"""2 of 2 and 4 of 4 recorded (test_private_endpoint_connection_acr, azure-cli, 2020)."""
GROUP = Answers(deleted=202, deleted_urls=(RESULT_URL,), pace=(15, 15))
