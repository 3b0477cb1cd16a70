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

OUTPUT_LIMIT = 3900
"""Bytes; Azure's run command keeps the last 4,096 of stdout."""
WAIT_SECONDS = 120


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="fedctl", description=__doc__.splitlines()[0] if __doc__ else "")
    commands = top.add_subparsers(dest="command", required=True)
    status = commands.add_parser(
        "status", help="state of this VM; at the centre also of every hospital and the last job"
    )
    status.add_argument("--after", metavar="HOSPITAL", help="go on with an answer that was cut")
    for name, text in (
        ("submit", "run a job"),
        ("check", "whether a job could be submitted so, and which have to run before it"),
    ):
        asked = commands.add_parser(name, help=text)
        asked.add_argument("--job", required=True)
        asked.add_argument("--rounds", type=int)
        asked.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
        if name == "submit":
            asked.add_argument("--by", default="unknown", help="who asks, for the hospitals")
    commands.add_parser("review", help="at a hospital: the jobs that asked to run here, and what was said")
    commands.add_parser("jobs", help="all jobs, newest first")
    for name, text in (
        ("job", "one job: state, rounds, metrics of each hospital"),
        ("show", "what a job asks of the hospitals, and what each says to it"),
        ("abort", "stop a job"),
        ("resume", "go on with a failed job from its last full round, as a new job"),
    ):
        commands.add_parser(name, help=text).add_argument("id")
    commands.add_parser("requests", help="hospitals that asked for a certificate, and what was decided")
    commands.add_parser("approve", help="sign a hospital's request").add_argument("hospital")
    revoke = commands.add_parser("revoke", help="cut a hospital off until it is approved again")
    revoke.add_argument("hospital")
    revoke.add_argument("--reason", default="revoked by an operator")
    renew = commands.add_parser("renew", help="have a hospital ask for a new certificate")
    renew.add_argument("hospital")
    rotate = commands.add_parser("rotate", help="a new key and certificate; without --yes what it interrupts")
    rotate.add_argument("what", choices=("root", "lead", "server"))
    rotate.add_argument("--now", action="store_true", help="restart the server though a job runs")
    rotate.add_argument("--finish", action="store_true", help="withdraw the old root, whoever has not moved")
    rotate.add_argument("--yes", action="store_true", help="do it")
    backup = commands.add_parser("backup", help="what was backed up last, and for whom; with --now at once")
    backup.add_argument("--now", action="store_true")
    backup.add_argument("--to", metavar="KEY", help="for this key (age1...) instead of the stack's")
    restore = commands.add_parser("restore", help="the archives, and what was put back last")
    restore.add_argument("--header", metavar="NAME", help="also an archive's header")
    restore.add_argument("--replace", action="store_true", help="give up what is here for an archive")
    restore.add_argument("--take", metavar="NAME", help="put an archive back")
    restore.add_argument("--opened", metavar="BASE64", help="its header, for the key of this VM")
    restore.add_argument("--without", action="store_true", help="go on without an archive")
    models = commands.add_parser("models", help="registered models, newest first")
    models.add_argument("--name")
    models.add_argument("--skip", type=int, help="go on with an answer that was cut after so many")
    evaluate = commands.add_parser("evaluate", help="have every hospital measure a version of a model")
    evaluate.add_argument("name")
    evaluate.add_argument("version")
    evaluate.add_argument("--by", default="unknown", help="who asks, for the hospitals")
    for name, text in (
        ("promote", "make a version of a model the one to use"),
        ("retire", "take a version of a model out of use"),
    ):
        asked = commands.add_parser(name, help=text)
        asked.add_argument("name")
        asked.add_argument("version")
        asked.add_argument("--by", required=True, help="who says so")
        if name == "retire":
            asked.add_argument("--why", required=True)
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
    given = vars(parser().parse_args(arguments))
    command = str(given.pop("command"))
    if command in ("submit", "check"):
        if wrong := [pair for pair in given["param"] if "=" not in pair]:
            print(json.dumps({"error": f"--param {wrong[0]}: expected NAME=VALUE"}))
            sys.exit(WRONG)
        given["param"] = dict(pair.split("=", 1) for pair in given["param"])
    path = Path(os.environ.get("FEDCTL_SOCKET", str(SOCKET)))
    try:
        reply = ask(command, given, path)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": f"the container server does not answer at {path}: {error}"}))
        sys.exit(BROKEN)
    print(fit(reply["answer"] if reply["exit"] == DONE else {"error": reply["error"]}))
    sys.exit(int(reply["exit"]))
