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
from typing import Any, NoReturn

from container_server.control import BROKEN, DONE, SOCKET, WRONG
from container_server.question import UnreadableQuestionError
from container_server.questions import QUESTIONS

OUTPUT_LIMIT = 3900
"""Bytes; Azure's run command keeps the last 4,096 of stdout."""
WAIT_SECONDS = 120


class Words(argparse.ArgumentParser):
    """Reads the words of a question from outside: it neither prints nor ends the service."""

    def error(self, message: str) -> NoReturn:
        """See argparse; raises UnreadableQuestionError."""
        raise UnreadableQuestionError(message[:300])

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """See argparse; raises UnreadableQuestionError."""
        raise UnreadableQuestionError("the words of a command are expected")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print nothing: what was asked for (--help) is not for this service's log."""


def parser(kind: type[argparse.ArgumentParser] = argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The command line."""
    top = kind(prog="fedctl", description=__doc__.splitlines()[0] if __doc__ else "")
    commands = top.add_subparsers(dest="command", required=True)
    for question in QUESTIONS:
        question.add_to(commands)
    return top


def fit(answer: Any, limit: int = OUTPUT_LIMIT) -> str:
    """The answer as one line of JSON of at most `limit` bytes."""
    return _line(shortened(answer, limit))


def shortened(answer: Any, limit: int) -> Any:
    """An answer of at most `limit` bytes of JSON: long lists lose their tail, and `cut` says so."""
    while len(_line(answer).encode()) > limit and isinstance(answer, dict):
        lists = {name: part for name, part in answer.items() if isinstance(part, list | dict) and part}
        if not lists:
            return {"error": "the answer is too long", "cut": True}
        longest = max(lists, key=lambda name: len(json.dumps(lists[name])))
        part = lists[longest]
        kept = len(part) // 2
        shorter = part[:kept] if isinstance(part, list) else dict(list(part.items())[:kept])
        answer = {**answer, longest: shorter, "cut": True}
    return answer


def _line(answer: Any) -> str:
    return json.dumps(answer, separators=(",", ":"))


def ask(command: str, arguments: dict[str, Any], path: Path) -> dict[str, Any]:
    """One request to the service. Raises OSError when it does not listen, ValueError for a broken answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WAIT_SECONDS)
        connection.connect(str(path))
        connection.sendall((json.dumps({"command": command, "arguments": arguments}) + "\n").encode())
        with connection.makefile() as stream:
            return dict(json.loads(stream.readline()))


def read(words: list[str] | None, kind: type[argparse.ArgumentParser]) -> tuple[str, dict[str, Any]]:
    """The command and the arguments that words say. Raises UnreadableQuestionError."""
    given = vars(parser(kind).parse_args(words))
    return str(given.pop("command")), given


def main(words: list[str] | None = None) -> None:
    """See the module."""
    try:
        command, given = read(words, argparse.ArgumentParser)
    except UnreadableQuestionError as error:
        print(json.dumps({"error": str(error)}))
        sys.exit(WRONG)
    path = Path(os.environ.get("FEDCTL_SOCKET", str(SOCKET)))
    try:
        reply = ask(command, given, path)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": f"the container server does not answer at {path}: {error}"}))
        sys.exit(BROKEN)
    print(fit(reply["answer"] if reply["exit"] == DONE else {"error": reply["error"]}))
    sys.exit(int(reply["exit"]))
