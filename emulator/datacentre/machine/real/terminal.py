"""Leads this terminal to a real machine's, where root is signed in, and ends as the command there ends.

Arguments: the socket of the machine's terminal, and the command. Ctrl-] comes back without waiting for it.
The command is sent once, when the shell has answered a greeting: what is typed before it is there is
lost. Run by `./fed shell`; standard library alone.
"""

import os
import secrets
import select
import socket
import sys
import termios
import time
import tty

LEAVE = b"\x1d"
BEGIN, END = b"\x1d", b"\x1e"
"""What the machine's shell writes before the command, and around its exit code after it."""
GREETING_SECONDS = 10.0
PATIENCE = 180.0
"""Between two greetings, and in all: a translated machine that boots has its shell after two minutes."""


def main() -> None:
    """Run the command there; exit with its code, or with 1 when the machine hangs up."""
    machine = socket.socket(socket.AF_UNIX)
    machine.connect(sys.argv[1])
    if not greet(machine, PATIENCE, GREETING_SECONDS):
        sys.exit(
            "fed: no shell answers at the machine's terminal. It may not have booted so far.\n"
            "Fix: try again later; ./fed status says how the machine is doing"
        )
    size = os.get_terminal_size() if sys.stdout.isatty() else os.terminal_size((80, 24))
    setting = f"stty rows {size.lines} cols {size.columns}"
    machine.sendall(f"{setting}; printf '\\035'; {sys.argv[2]}; printf '\\036%s\\036' \"$?\"\r".encode())
    before = termios.tcgetattr(0) if sys.stdin.isatty() else None
    if before is not None:
        print("Ctrl-] comes back from the machine.", file=sys.stderr)
        tty.setraw(0)
    try:
        sys.exit(relay(machine, raw=sys.stdout.isatty()))
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)


def greet(machine: socket.socket, seconds: float, pause: float) -> bool:
    """Greet the machine's shell, again after each pause; say whether it has answered the last greeting.

    One that came too early is answered late or never: the last one's answer comes after all others'.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        mark = secrets.token_hex(8)
        machine.sendall(f"\x15printf '\\036%s\\036' {mark}\r".encode())  # Ctrl-U: a line half typed is gone
        if _says(machine, END + mark.encode() + END, pause):
            return True
        # What somebody left running ends. Apart from the rest: bash loses what is typed right after it.
        machine.sendall(b"\x03")
        time.sleep(pause / 10)
    return False


def _says(machine: socket.socket, words: bytes, seconds: float) -> bool:
    until, said = time.monotonic() + seconds, b""
    while (left := until - time.monotonic()) > 0 and select.select([machine], [], [], left)[0]:
        heard = machine.recv(65536)
        if not heard:
            sys.exit("fed: the machine has hung up. Fix: ./fed status says how it is doing")
        said += heard
        if words in said:
            return True
    return False


def relay(machine: socket.socket, *, raw: bool) -> int:
    """Pass bytes on, both ways, until the command ends; return its exit code."""
    listening: set[int] = {0, machine.fileno()}
    output = Output(raw=raw)
    while True:
        ready = select.select(listening, [], [])[0]
        if machine.fileno() in ready:
            said = machine.recv(65536)
            if not said:
                return 1
            os.write(1, output.shown(said))
            if output.code is not None:
                return output.code
        if 0 in ready:
            typed = os.read(0, 65536)
            if LEAVE in typed:
                return 0
            if typed:
                machine.sendall(typed)
            else:
                listening.discard(0)


class Output:
    """Finds the command's own output in what a terminal says, and its exit code."""

    def __init__(self, *, raw: bool) -> None:
        """Without `raw` the ends of lines are those of a file."""
        self.code: int | None = None
        self._raw = raw
        self._begun = False
        self._held = b""

    def shown(self, said: bytes) -> bytes:
        """Return what of it a person is to see."""
        text = self._held + said
        self._held = b""
        if not self._begun:
            _, found, text = text.partition(BEGIN)
            self._begun = bool(found)
            if not found:
                return b""
        text, found, rest = text.partition(END)
        if found:
            code, complete, _ = rest.partition(END)
            if complete:
                self.code = int(code)
            else:
                self._held = END + rest
        elif not self._raw and text.endswith(b"\r"):  # its second half may come next
            text, self._held = text[:-1], b"\r"
        return text if self._raw else text.replace(b"\r\n", b"\n")


if __name__ == "__main__":
    main()
