"""`$top`: how many of a list one answer holds, and where the rest is.

Lists that know it: https://learn.microsoft.com/rest/api/resources/resource-groups/list,
.../resources/list and https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults/list. Others ignore it.
"""

from __future__ import annotations

from urllib.parse import urlencode

from emulator.arm.errors import bad_request
from emulator.arm.messages import Json, Request, Response

TOP, SKIP = "$top", "$skiptoken"


def page(request: Request, values: list[Json]) -> Response:
    """Answer the part of a list that a request asks for; raises ArmError (400) for what is no number."""
    start, size = _number(request, SKIP, 0), _number(request, TOP, len(values))
    body: Json = {"value": values[start : start + size]}
    if start + size < len(values):
        query = urlencode({**request.query, SKIP: start + size})
        body["nextLink"] = f"{request.endpoint}{request.path}?{query}"
    return Response(status=200, body=body)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or (name == TOP and int(text) == 0):
        raise bad_request("BadRequest", f"Invalid value '{text}' specified for query parameter '{name}'.")
    return int(text)
