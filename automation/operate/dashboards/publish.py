"""Publishes model and report of each audience into its own Power BI workspace, by fabric-cicd.

What is in the repository is published, with three parameters set: the centre's storage, the audience's
container, the audience itself. fabric-cicd only logs what it could not do; here that is a failure.
Workspaces, the gateway and its connections are made by hand once (docs/dashboards.md).
"""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml
from azure.core.credentials import TokenCredential

from automation.ui.outcome import FedError
from dashboards.powerbi import project
from dashboards.powerbi.description import Audience
from federation.naming import SERVER_CONTAINER, client_container
from federation.parties import CENTRE, Party, federation
from federation.settings import Dashboard, Settings

ITEMS: Final = ("SemanticModel", "Report")
POWER_BI: Final = "https://api.powerbi.com/v1.0/myorg"
POWER_BI_SCOPE: Final = "https://analysis.windows.net/powerbi/api/.default"
REFRESH_AT: Final = "05:00"
"""When dashboards are refreshed, UTC."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One audience's dashboard, where it goes, and what its model reads."""

    party: str
    audience: Audience
    dashboard: Dashboard
    container: str
    storage_url: str

    def parameters(self, stack: str) -> dict[str, Any]:
        """Return the content of fabric-cicd's parameter file. Every value is for `stack`: no other is
        published.
        """
        replaced = {
            "https://<account>.blob.core.windows.net": self.storage_url.rstrip("/"),
            '"client-<hospital>"': f'"{self.container}"',
            '"<hospital>"': f'"{self.party}"',
        }
        found: dict[str, Any] = {
            "find_replace": [
                {
                    "find_value": old,
                    "replace_value": {stack: new},
                    "item_type": "SemanticModel",
                    "file_path": "**/expressions.tmdl",
                }
                for old, new in replaced.items()
                if self.audience == "hospital" or old.startswith("https")
            ]
        }
        if self.dashboard.connection:
            found["semantic_model_binding"] = {
                "default": {"connection_id": {stack: self.dashboard.connection}}
            }
        return found


def publications(settings: Settings, storage_url: str) -> list[Publication]:
    """Return what the settings ask for, the centre's first; nothing for a hospital that has left."""
    parties = federation(settings)
    found: list[Party] = [parties.centre, *parties.hospitals]
    return [
        Publication(
            party=party.name,
            audience="centre" if party.name == CENTRE else "hospital",
            dashboard=party.dashboard,
            container=SERVER_CONTAINER if party.name == CENTRE else client_container(party.name),
            storage_url=storage_url,
        )
        for party in found
        if party.dashboard is not None
    ]


def publish(publication: Publication, stack: str, credential: TokenCredential) -> None:
    """Publish one dashboard and have it refreshed, now and every day.

    Without a connection there is nothing to refresh through yet: the dashboard is published empty.
    Raises FedError with what Power BI refused.
    """
    from fabric_cicd import FabricWorkspace, constants, publish_all_items  # noqa: PLC0415 slow

    with tempfile.TemporaryDirectory(prefix="fed-dashboard-") as folder, _told(publication) as complaints:
        shutil.copytree(project.folder(publication.audience), folder, dirs_exist_ok=True)
        Path(folder, "parameter.yml").write_text(
            yaml.safe_dump(publication.parameters(stack), sort_keys=False), encoding="utf-8"
        )
        workspace = FabricWorkspace(
            workspace_id=publication.dashboard.workspace,
            repository_directory=folder,
            item_type_in_scope=list(ITEMS),
            environment=stack,
            token_credential=credential,
        )
        publish_all_items(workspace)
    name = project.display_name(publication.audience)
    ids = {kind: _id(workspace.repository_items, kind, name) for kind in ITEMS}
    lacking = [kind for kind, found in ids.items() if not found]
    if complaints or lacking:
        raise FedError(
            _failure(publication, [*complaints, *(f"no {kind} was published" for kind in lacking)])
        )
    if publication.dashboard.connection is None:
        return
    items = f"{constants.FABRIC_API_ROOT_URL}/v1/workspaces/{publication.dashboard.workspace}/items"
    with _told(publication):
        answer = workspace.endpoint.invoke(method="GET", url=f"{items}/{ids['SemanticModel']}/connections")
    bound = {str(one.get("id")) for one in answer["body"].get("value", ())}
    if bound != {publication.dashboard.connection}:
        raise FedError(
            _failure(
                publication,
                [
                    f"the model is bound to {', '.join(sorted(bound)) or 'nothing'} and not to "
                    f"{publication.dashboard.connection}: it must be a connection of type Azure Blobs to "
                    f"{publication.storage_url} that the publishing identity may use"
                ],
            )
        )
    _refresh(publication, str(ids["SemanticModel"]), credential)


def _id(items: Mapping[str, Mapping[str, Any]], kind: str, name: str) -> str | None:
    item = items.get(kind, {}).get(name)
    return str(item.guid) if item is not None and item.guid else None


def _refresh(publication: Publication, model: str, credential: TokenCredential) -> None:
    """https://learn.microsoft.com/rest/api/power-bi/datasets/refresh-dataset-in-group"""
    dataset = f"{POWER_BI}/groups/{publication.dashboard.workspace}/datasets/{model}"
    schedule = {"value": {"enabled": True, "times": [REFRESH_AT], "localTimeZoneId": "UTC", "days": _DAYS}}
    headers = {"Authorization": f"Bearer {credential.get_token(POWER_BI_SCOPE).token}"}
    for method, url, body in (
        ("PATCH", f"{dataset}/refreshSchedule", schedule),
        ("POST", f"{dataset}/refreshes", {"notifyOption": "NoNotification"}),
    ):
        try:
            answer = httpx.request(method, url, json=body, headers=headers, timeout=60)
        except httpx.HTTPError as error:
            raise FedError(_failure(publication, [f"Power BI did not answer: {error}"])) from error
        if answer.is_error:
            raise FedError(
                _failure(publication, [f"{method} {url}: {answer.status_code} {answer.text[:500]}"])
            )


_DAYS: Final = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


@contextmanager
def _told(publication: Publication) -> Iterator[list[str]]:
    """Collect what fabric-cicd warns of, instead of printing it; turn its exceptions into words."""
    from fabric_cicd._common import _exceptions  # noqa: PLC0415 slow

    logger = logging.getLogger("fabric_cicd")
    collected = _Collected()
    before, propagated = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [collected], False
    try:
        yield collected.complaints
    except _exceptions.BaseCustomError as error:
        raise FedError(_failure(publication, [*collected.complaints, str(error)])) from error
    finally:
        logger.handlers, logger.propagate = before, propagated


class _Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append(record.getMessage())


def _failure(publication: Publication, complaints: list[str]) -> str:
    lines = "\n".join(f"- {text}" for text in dict.fromkeys(complaints))
    return (
        f"{publication.party}'s dashboard was not published as it should be, into workspace "
        f"{publication.dashboard.workspace}:\n{lines}\nWhat must be in place: docs/dashboards.md, Publishing"
    )
