"""The blobs that parties exchange: JSON, each with a versioned schema in schemas/, checked on both sides.

What arrives is treated as hostile: parsed only when small, well-formed and of the one version understood
here.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema

from container_server import strict_json
from container_server.errors import RefusedInputError

DESIRED = "desired.json"
REPORT = "report.json"
ASKED = "asked.json"
MODELS = "models.json"
REQUEST = "enrol/request.zip"
DECISION = "enrol/decision.json"
SIGNED = "enrol/signed.zip"
ROOT = "enrol/root.json"
ROOTS = "enrol/roots.json"


def asked_archive(code: str) -> str:
    """The blob with the code of a job that waits for a hospital's answer."""
    return f"asked/{code}.zip"


def model_archive(code: str) -> str:
    """The blob with a promoted model."""
    return f"models/{code}.zip"


_SCHEMAS = Path(__file__).with_name("schemas")


class InvalidMessageError(RefusedInputError):
    """A message that is not what its schema says."""


def encode(kind: str, content: dict[str, Any]) -> bytes:
    """A message of `kind`, a file of schemas/, as bytes; `schema` is added.

    Raises InvalidMessageError for content this service must not send.
    """
    message = {"schema": f"fed/{kind}/1", **content}
    _check(kind, message)
    return (json.dumps(message, indent=1, sort_keys=True) + "\n").encode()


def decode(kind: str, content: bytes) -> dict[str, Any]:
    """A message of `kind`. Raises InvalidMessageError naming what is wrong with it."""
    try:
        message = strict_json.parse(content)
    except ValueError as error:
        raise InvalidMessageError(f"{kind}: not JSON: {error}") from error
    _check(kind, message)
    return dict(message)


def checked(kind: str, content: Any) -> dict[str, Any]:
    """What a job wrote of itself (status, progress), unchanged. Raises InvalidMessageError."""
    _check(kind, content)
    return dict(content)


def _check(kind: str, message: Any) -> None:
    try:
        error = jsonschema.exceptions.best_match(_validator(kind).iter_errors(message))
    except RecursionError as deep:
        raise InvalidMessageError(f"{kind}: nested too deeply") from deep
    if error is not None:
        raise InvalidMessageError(f"{kind}: {error.json_path}: {error.message[:200]}{_meaning(error)}")


def _meaning(error: jsonschema.ValidationError) -> str:
    """What the schema says of the key that is wrong or missing, where it says something."""
    part: Any = error.schema
    if error.validator == "required":
        wanted, given = cast(list[str], error.validator_value), cast(dict[str, Any], error.instance)
        missing = [key for key in wanted if key not in given]
        part = part.get("properties", {}).get(missing[0], {}) if missing else {}
    said = part.get("description") if isinstance(part, dict) else None
    return f" ({said})" if said else ""


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((_SCHEMAS / f"{kind}.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema)
