"""A command in a real machine's terminal: its own output alone, and its exit code."""

import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
import time
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


class Shell:
    """A real shell behind the socket of a terminal: it is there after some seconds only."""

    def __init__(self, path: Path, late: float) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.late = late
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        client, _ = self.server.accept()
        terminal, inside = pty.openpty()
        bash = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "-i"],
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
        there = time.monotonic() + self.late
        with client:
            while True:
                ready = select.select([client.fileno(), terminal], [], [])[0]
                if client.fileno() in ready:
                    heard = client.recv(65536)
                    if not heard:
                        break
                    if time.monotonic() > there:
                        os.write(terminal, heard)
                if terminal in ready:
                    client.sendall(os.read(terminal, 65536))
        bash.kill()
        bash.wait()
        for end in (terminal, inside):
            os.close(end)

    def close(self) -> None:
        self.thread.join(20)
        self.server.close()


@pytest.mark.parametrize("late", [0.0, 1.5])
def test_a_shell_runs_the_command_once_and_its_code_comes_back(late: float, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "terminal.sock", late)
    done = main(tmp_path, f"echo ran >> {tmp_path}/runs; uname; (exit 3)")
    shell.close()
    assert (done.returncode, done.stdout) == (3, b"Linux\n")
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_a_terminal_without_a_shell_is_an_error_that_says_so(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "terminal.sock", 100.0)
    done = main(tmp_path, "true")
    shell.close()
    assert done.returncode == 1
    assert b"no shell answers" in done.stderr
    assert b"Fix: " in done.stderr


def main(folder: Path, command: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program with less patience than it has for a machine that boots."""
    impatient = folder / "impatient.py"
    text = Path(terminal.__file__).read_text()
    for constant, seconds in (("PATIENCE", 6.0), ("GREETING_SECONDS", 0.5)):
        text, found = re.subn(f"^{constant} = .*", f"{constant} = {seconds}", text, flags=re.MULTILINE)
        assert found == 1
    impatient.write_text(text)
    words = [str(impatient), str(folder / "terminal.sock"), command]
    return subprocess.run(
        [sys.executable, "-I", "-S", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=20,
    )
