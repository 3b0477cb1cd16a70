"""What each role may ask of MLflow: what is not listed here is refused.

Read off the routes of MLflow 3.17.2 (`mlflow.server.app.url_map`): below these paths each GET reads, and of
the POSTs these search. Not listed, whoever asks: MLflow's assistant, which starts programs on the server for
whoever comes over loopback, its gateway, webhooks, jobs and workspaces.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

PERSON, SERVER, KEEPER = "person", "server", "keeper"
"""Somebody who reads; fl-server, which records jobs; the container server, which keeps the register."""

_API = r"/api/2\.0/mlflow"
_PAGES = r"/(?:ajax-)?api/[23]\.0/mlflow"
_FILES = r"/(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts(?:/.*)?"

_RIGHTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    PERSON: {
        "GET": (
            r"/(?:version|get-artifact|model-versions/get-artifact|static-files/.+)?",
            rf"{_PAGES}/(?:artifacts|datasets|experiments|logged-models|metrics|model-versions)(?:/.*)?",
            rf"{_PAGES}/(?:registered-models|runs|traces)(?:/.*)?",
            rf"{_PAGES}/server-info",
            _FILES,
        ),
        "POST": (
            rf"{_PAGES}/(?:datasets|experiments|logged-models|runs|traces)/search",
            rf"{_PAGES}/experiments/search-datasets",
            rf"{_PAGES}/registered-models/get-latest-versions",
            # The page of a run asks by it. Its only mutation of that version echoes its argument.
            r"/graphql",
        ),
    },
    SERVER: {
        "GET": (
            r"/version",
            r"/api/3\.0/mlflow/server-info",
            rf"{_API}/experiments/(?:get|get-by-name)",
            rf"{_API}/runs/get",
            rf"{_API}/registered-models/(?:get|search)",
            rf"{_API}/model-versions/get",
            r"/api/2\.0/mlflow-artifacts/artifacts",
        ),
        "POST": (
            rf"{_API}/experiments/create",
            rf"{_API}/runs/(?:create|update|set-tag|log-batch|log-inputs)",
            rf"{_API}/registered-models/create",
            rf"{_API}/model-versions/create",
        ),
        "PUT": (r"/api/2\.0/mlflow-artifacts/artifacts/.+",),
    },
    KEEPER: {
        "GET": (
            rf"{_API}/registered-models/get",
            rf"{_API}/model-versions/(?:get|search)",
            rf"{_API}/runs/get",
        ),
        "POST": (rf"{_API}/registered-models/alias", rf"{_API}/model-versions/set-tag"),
        "DELETE": (rf"{_API}/registered-models/alias",),
        "PUT": (r"/api/2\.0/mlflow-artifacts/artifacts/.+",),
    },
}

_COMPILED: Mapping[str, Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        role: {
            method: re.compile("|".join(f"(?:{path})" for path in paths), re.DOTALL)
            for method, paths in methods.items()
        }
        for role, methods in _RIGHTS.items()
    }
)


def may(role: str, method: str, path: str) -> bool:
    """Return whether a role may send a method to a path (decoded, as ASGI has it)."""
    pattern = _COMPILED.get(role, {}).get("GET" if method == "HEAD" else method)
    return pattern is not None and pattern.fullmatch(path) is not None
