"""Runs commands of azure-cli, one after the other, in one process: most of what `az` costs is its start.

It runs in azure-cli's own environment. Each line of the input is a JSON list of words, each line of the
output a JSON object: ``status`` (the exit code), ``answer`` (what it printed) and ``said`` (its errors).
"""

import contextlib
import io
import json
import sys
from typing import Any, TextIO

from azure.cli.core import get_default_cli


def main() -> None:
    """Answer every line of the input."""
    answers = sys.stdout
    with contextlib.redirect_stderr(io.StringIO()) as said:  # one for all: azure-cli's loggers keep the first
        for line in sys.stdin:
            said.seek(0)
            said.truncate()
            answer = run(json.loads(line))
            print(json.dumps(answer | {"said": said.getvalue()}), file=answers, flush=True)


def run(words: list[str]) -> dict[str, Any]:
    """Return what one command came to."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = invoke(words, printed)
    return {"status": status, "answer": printed.getvalue()}


def invoke(words: list[str], out: TextIO) -> int:
    try:
        return int(get_default_cli().invoke(words, out_file=out) or 0)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 1


if __name__ == "__main__":
    main()
