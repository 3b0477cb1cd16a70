"""No state of any stack holds what opens anything."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from policies.compute import SECRET
from tests.unit.support.verify_deployment import exported

ENCRYPTED = '"ciphertext"'
"""What the engine writes in the place of a secret."""


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a document, and what it says when it is base64."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from (name, *texts(member))
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)
    elif isinstance(value, str):
        yield value
        if len(value) % 4 == 0 and re.fullmatch(r"[A-Za-z0-9+/]{40,}={0,2}", value):
            yield base64.b64decode(value).decode(errors="replace")


@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_a_state_holds_no_secret(stack: str) -> None:
    document = exported(stack)

    assert ENCRYPTED not in json.dumps(document)
    assert [text[:80] for text in texts(document) if SECRET.search(text)] == []


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN EC " + "PRIVATE KEY-----",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey" + "=abc",
        "https://x.blob.core.windows.net/c?sv=2024-01-01&sig=" + "a" * 44,
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJhdWQiOiJzdG9yYWdlIn0" + ".c2lnbmF0dXJl",
    ],
)
def test_a_secret_would_be_seen_even_in_custom_data(secret: str) -> None:
    hidden = {
        "osProfile": {"customData": base64.b64encode(f"#cloud-config\nx: {secret}\n".encode()).decode()}
    }

    assert any(SECRET.search(text) for text in texts(hidden))
