"""How a host's clients find the emulated cloud and sign in to it, as azure-cli and Microsoft's SDKs do.

Two doors that need no bearer token: what the cloud's endpoints are, and a managed identity's token endpoint
in the shape of App Service's. The second wants a secret of this emulator, which only its user can read.
https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from emulator.arm import tokens
from emulator.arm.messages import Json, Request, Response

TOKENS = "/identity/token"
"""The path of the token endpoint."""
ENDPOINTS = "/metadata/endpoints"
_HEADER = "x-identity-header"
_AUDIENCES = ("https://management.azure.com/", "https://management.core.windows.net/")


def answer(key: bytes, request: Request) -> Response | None:
    """Answer a question that comes before any token; None for every other."""
    path = "/" + request.path.strip("/").lower()
    if request.method != "GET":
        return None
    if path == ENDPOINTS:
        return Response(status=200, body=_endpoints(request))
    if path == TOKENS:
        return _token(key, request)
    return None


def _token(key: bytes, request: Request) -> Response:
    given = request.headers.get(_HEADER, "")
    if not hmac.compare_digest(given.encode(), tokens.identity_secret(key).encode()):
        return _refused(401, "unauthorized", "The header X-IDENTITY-HEADER is missing or wrong.")
    resource = request.query.get("resource", "")
    if not resource:
        return _refused(400, "invalid_request", "The query parameter 'resource' is missing.")
    own = resource.rstrip("/") == _host(request).rstrip("/")
    bearer, expires = tokens.issue(key, audience=tokens.AUDIENCE if own else resource)
    return Response(
        status=200,
        body={
            "access_token": bearer,
            "expires_on": str(expires),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": tokens.DEPLOYER_CLIENT_ID,
        },
    )


def _refused(status: int, code: str, message: str) -> Response:
    return Response(status=status, body={"error": {"code": code, "message": message}})


def _host(request: Request) -> str:
    return f"https://{request.headers.get('host', 'management.azure.com')}"


def _endpoints(request: Request) -> Json:
    host = _host(request)
    return {
        "name": urlsplit(host).hostname,
        "portal": host,
        "gallery": host,
        "graphEndpoint": host,
        "graph": host,
        "resourceManager": host,
        "authentication": {
            "loginEndpoint": host,
            "audiences": [host, *_AUDIENCES],
            "tenant": tokens.TENANT_ID,
            "identityProvider": "AAD",
        },
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "acrLoginServer": "azurecr.io",
        },
    }
