"""`fedctl`: ask this VM's container server, print one JSON object, exit with a code.

Made for ARM's run command, which carries at most 4 KB of output: answers are compact, and cut with a note
when they would be longer. Exit codes: 0 done, 1 the answer is no, 2 the question was wrong, 3 something
broke on the way.
"""

import argparse
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from container_server.control import BROKEN, DONE, SOCKET, WRONG
from container_server.question import UnreadableQuestionError
from container_server.questions import QUESTIONS

OUTPUT_LIMIT = 3900
"""Bytes; Azure's run command keeps the last 4,096 of stdout."""
WAIT_SECONDS = 120


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="fedctl", description=__doc__.splitlines()[0] if __doc__ else "")
    commands = top.add_subparsers(dest="command", required=True)
    for question in QUESTIONS:
        question.add_to(commands)
    return top


def fit(answer: Any, limit: int = OUTPUT_LIMIT) -> str:
    """The answer as one line of JSON of at most `limit` bytes: long lists lose their tail, and `cut` says
    so.
    """
    text = json.dumps(answer, separators=(",", ":"))
    while len(text.encode()) > limit and isinstance(answer, dict):
        lists = {name: part for name, part in answer.items() if isinstance(part, list | dict) and part}
        if not lists:
            return json.dumps({"error": "the answer is too long", "cut": True})
        longest = max(lists, key=lambda name: len(json.dumps(lists[name])))
        part = lists[longest]
        kept = len(part) // 2
        shorter = part[:kept] if isinstance(part, list) else dict(list(part.items())[:kept])
        answer = {**answer, longest: shorter, "cut": True}
        text = json.dumps(answer, separators=(",", ":"))
    return text


def ask(command: str, arguments: dict[str, Any], path: Path) -> dict[str, Any]:
    """One request to the service. Raises OSError when it does not listen, ValueError for a broken answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WAIT_SECONDS)
        connection.connect(str(path))
        connection.sendall((json.dumps({"command": command, "arguments": arguments}) + "\n").encode())
        with connection.makefile() as stream:
            return dict(json.loads(stream.readline()))


def main(arguments: list[str] | None = None) -> None:
    """See the module."""
    try:
        given = vars(parser().parse_args(arguments))
    except UnreadableQuestionError as error:
        print(json.dumps({"error": str(error)}))
        sys.exit(WRONG)
    command = str(given.pop("command"))
    path = Path(os.environ.get("FEDCTL_SOCKET", str(SOCKET)))
    try:
        reply = ask(command, given, path)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": f"the container server does not answer at {path}: {error}"}))
        sys.exit(BROKEN)
    print(fit(reply["answer"] if reply["exit"] == DONE else {"error": reply["error"]}))
    sys.exit(int(reply["exit"]))
