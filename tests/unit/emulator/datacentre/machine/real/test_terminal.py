"""A command in a real machine's terminal: its own output alone, and its exit code."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from emulator.datacentre.machine.real import terminal
from emulator.datacentre.machine.real.terminal import Output

ECHO = b"root@vm:~# stty rows 24 cols 80; printf '\\035'; true; printf '\\036%s\\036' \"$?\"\r\n"
WHOLE = ECHO + b"\x1done\r\ntwo\r\n\x1e3\x1eroot@vm:~# "


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_only_the_commands_own_output_is_shown(size: int) -> None:
    output = Output(raw=False)
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    shown = b""
    for piece in pieces:
        if output.code is None:
            shown += output.shown(piece)
    assert (shown, output.code) == (b"one\ntwo\n", 3)


def test_a_terminal_gets_what_the_machine_sends() -> None:
    assert Output(raw=True).shown(b"\x1da\r\nb") == b"a\r\nb"


def test_the_command_ends_with_the_code_of_the_machines(tmp_path: Path) -> None:
    path = tmp_path / "terminal.sock"
    typed: list[bytes] = []

    def machine() -> None:
        client, _ = server.accept()
        with client:
            typed.append(client.recv(4096))
            client.sendall(WHOLE)
            client.recv(1)  # until it hangs up

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        serving = threading.Thread(target=machine)
        serving.start()
        done = subprocess.run(
            [sys.executable, "-I", "-S", terminal.__file__, str(path), "false"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )
        serving.join(20)
    assert (done.returncode, done.stdout) == (3, b"one\ntwo\n")
    assert b"; false; " in typed[0]
