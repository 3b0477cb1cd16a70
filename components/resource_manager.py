"""A question to Azure Resource Manager that no resource asks, with the provider's own credentials."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpx
import pulumi
from pulumi_azure_native import authorization
from pulumi_azure_native.provider import Provider

#: The provider's own switch for a cloud that is not the public one.
ENDPOINT: Final = "ARM_RESOURCE_MANAGER_ENDPOINT"
#: The certificates to trust there, where they are not public ones.
CERTIFICATES: Final = "FED_RESOURCE_MANAGER_CERTIFICATES"
PUBLIC: Final = "https://management.azure.com"
_ACCEPTED: Final = 202
_BUSY: Final = ("InProgress", "Running", "Accepted")


async def ask(azure: Provider, path: str, version: str, body: Mapping[str, Any]) -> str | None:
    """POST a question and wait for the answer: None for yes, else Azure's ``code: message``.

    Raises httpx.HTTPError when nobody answers, ValueError when the answer is no JSON.
    """
    options = pulumi.InvokeOutputOptions(provider=azure)
    token = await authorization.get_client_token_output(opts=options).token.future()
    endpoint = os.environ.get(ENDPOINT, PUBLIC).rstrip("/")
    trusted = ssl.create_default_context(cafile=os.environ.get(CERTIFICATES))
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, verify=trusted, timeout=60) as client:
        answer = await client.post(f"{endpoint}{path}", params={"api-version": version}, json=dict(body))
        operation = answer.headers.get("azure-asyncoperation")
        while operation and (answer.status_code == _ACCEPTED or _document(answer).get("status") in _BUSY):
            await asyncio.sleep(_pause(answer))
            answer = await client.get(operation)
    return _refusal(answer)


def _document(answer: httpx.Response) -> Mapping[str, Any]:
    return dict(answer.json()) if answer.content else {}


def _pause(answer: httpx.Response) -> float:
    milliseconds = answer.headers.get("retry-after-ms")
    return float(milliseconds) / 1000 if milliseconds else float(answer.headers.get("retry-after", 5))


def _refusal(answer: httpx.Response) -> str | None:
    error = _document(answer).get("error")
    if answer.is_success and not error:
        return None
    return f"{error['code']}: {error['message']}" if error else f"{answer.status_code}: {answer.text}"
