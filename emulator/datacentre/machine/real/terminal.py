"""Leads this terminal to a real machine's, where root is signed in, and ends as the command there ends.

Arguments: the socket of the machine's terminal, and the command. Ctrl-] comes back without waiting for it.
Run by `./fed shell`; standard library alone.
"""

import os
import select
import socket
import sys
import termios
import tty

LEAVE = b"\x1d"
BEGIN, END = b"\x1d", b"\x1e"
"""What the machine's shell writes before the command, and around its exit code after it."""


def main() -> None:
    """Run the command there; exit with its code, or with 1 when the machine hangs up."""
    machine = socket.socket(socket.AF_UNIX)
    machine.connect(sys.argv[1])
    size = os.get_terminal_size() if sys.stdout.isatty() else os.terminal_size((80, 24))
    # Ctrl-C and Ctrl-U: whatever somebody left on the line is gone.
    setting = f"stty rows {size.lines} cols {size.columns}"
    line = f"\x03\x15{setting}; printf '\\035'; {sys.argv[2]}; printf '\\036%s\\036' \"$?\"\r"
    machine.sendall(line.encode())
    before = termios.tcgetattr(0) if sys.stdin.isatty() else None
    if before is not None:
        print("Ctrl-] comes back from the machine.", file=sys.stderr)
        tty.setraw(0)
    try:
        sys.exit(relay(machine, raw=sys.stdout.isatty()))
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)


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
