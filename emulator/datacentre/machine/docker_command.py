#!/usr/bin/env python3
"""`docker` inside an emulated machine: ps, exec, logs, inspect, start, stop, restart on its engine's socket.

Enough for an operator's run commands (``docker exec container-server fedctl status``). Standard library only:
it runs with the machine's own Python.
"""

import argparse
import http.client
import json
import socket
import sys
from typing import Any

SOCKET = "/var/run/docker.sock"


class Engine(http.client.HTTPConnection):
    """A connection to the engine."""

    def __init__(self) -> None:
        super().__init__("docker")

    def connect(self) -> None:
        """Connect to the engine's socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(SOCKET)

    def ask(self, method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
        """Send a request; end with the engine's message when it refuses."""
        try:
            self.request(
                method,
                path,
                body=json.dumps(body) if body is not None else None,
                headers={"Content-Type": "application/json"},
            )
            response = self.getresponse()
        except OSError as error:
            sys.exit(f"Cannot connect to the Docker daemon at unix://{SOCKET}: {error.strerror}")
        if response.status >= 400:
            sys.exit(f"Error response from daemon: {json.loads(response.read()).get('message')}")
        return response


def ask(method: str, path: str, body: Any = None) -> Any:
    """Return the answer to one request."""
    content = Engine().ask(method, path, body).read()
    return json.loads(content) if content else None


def show(response: http.client.HTTPResponse) -> None:
    """Write the frames of an answer to stdout and stderr as they come."""
    while len(header := response.read(8)) == 8:
        stream = sys.stderr if header[0] == 2 else sys.stdout
        stream.buffer.write(response.read(int.from_bytes(header[4:], "big")))
        stream.flush()


def execute(name: str, command: list[str]) -> int:
    """Run a command in a container; return its exit code."""
    made = ask(
        "POST", f"/containers/{name}/exec", {"Cmd": command, "AttachStdout": True, "AttachStderr": True}
    )
    show(Engine().ask("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False}))
    return int(ask("GET", f"/exec/{made['Id']}/json")["ExitCode"])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog="docker")
    commands = words.add_subparsers(dest="action", required=True)
    commands.add_parser("ps").add_argument("-a", "--all", action="store_true")
    run = commands.add_parser("exec")
    run.add_argument("name")
    run.add_argument("command", nargs=argparse.REMAINDER)
    logs = commands.add_parser("logs")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-n", "--tail", default="all")
    logs.add_argument("name")
    for action in ("inspect", "start", "stop", "restart", "kill"):
        about = commands.add_parser(action)
        about.add_argument("names", metavar="name", nargs="+")
        if action in ("stop", "restart"):
            about.add_argument("-t", "--time", "--timeout", type=int, metavar="SECONDS")
    return words


def main() -> int:
    """Do what the command line says."""
    given = parser().parse_args()
    if given.action == "ps":
        for one in ask("GET", f"/containers/json?all={int(given.all)}"):
            print(f"{one['Id'][:12]}  {one['Names'][0][1:]:20}  {one['Status']:24}  {one['Image']}")
    elif given.action == "exec":
        return execute(given.name, given.command)
    elif given.action == "logs":
        path = f"/containers/{given.name}/logs?stdout=1&stderr=1&follow={int(given.follow)}&tail={given.tail}"
        show(Engine().ask("GET", path))
    elif given.action == "inspect":
        print(json.dumps([ask("GET", f"/containers/{name}/json") for name in given.names], indent=4))
    else:
        patience = getattr(given, "time", None)
        query = "" if patience is None else f"?t={patience}"
        for name in given.names:
            ask("POST", f"/containers/{name}/{given.action}{query}")
            print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
