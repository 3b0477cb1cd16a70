"""An operator's ways into the VMs of the emulator: a shell, and a port for a browser."""

import os
import signal
import webbrowser
from contextlib import suppress
from datetime import datetime
from typing import NoReturn

from automation.operate import centre as centres
from automation.operate import machines, person, sign_in
from automation.operate.emulated import running_datacentre
from automation.stacks import deploy
from automation.stacks.target import Target, open_deployed
from automation.ui.console import say
from automation.ui.options import On
from automation.ui.outcome import QuestionError
from federation.parties import CENTRE

PORTS = {"mlflow": 5000}
"""Where a page is served on the loopback of the centre's VM (workloads/mlflow)."""


def shell(stack: str, on: On, party: str, container: str | None, script: str | None) -> NoReturn:
    """Become a shell, or a script, in a party's VM or in one of its containers.

    Raises QuestionError on Azure and for a party that the stack does not have, RefusedError when nothing
    runs, DatacentreError for a container that is not there.
    """
    target = _emulated(stack, on)
    machine = machines.vm_name(deploy.outputs(target), party)
    words = ("sh", "-c", script) if script else ("bash", "-l")
    entered = running_datacentre(target).command(machine, words, container)
    os.execvp(entered[0], entered)  # noqa: S606 the terminal becomes the shell's


def open_page(stack: str, on: On, page: str, port: int, name: str | None) -> None:
    """Lead a port of this machine's loopback to a page of the centre's VM until Ctrl-C, and sign in there.

    `name` is the account's, made of the person's when left out. Raises as `shell` and as `sign_in.sign_in`.
    """
    target = _emulated(stack, on)
    outputs = deploy.outputs(target)
    machine = machines.vm_name(outputs, CENTRE)
    datacentre = running_datacentre(target)
    account_name = name or sign_in.account_name(person.of(target))
    try:
        with datacentre.forward(machine, PORTS[page], port) as local:
            account = sign_in.sign_in(centres.of(target, outputs).centre, account_name)
            address = sign_in.newest_runs(f"http://127.0.0.1:{local}", account)
            say(f"{page} of {stack} is at {address}; Ctrl-C closes it")
            until = datetime.fromtimestamp(account.until).astimezone().strftime("%H:%M")
            say(
                f"sign in as {account.name} with {account.password}, good until {until}; it is said only here"
            )
            if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
                webbrowser.open(address)
            with suppress(KeyboardInterrupt):
                signal.pause()
    except OSError as taken:
        raise QuestionError(
            f"port {port} of this machine cannot be used ({taken}): name another with --port"
        ) from taken


def _emulated(stack: str, on: On) -> Target:
    if on is not On.EMULATOR:
        raise QuestionError(
            "this needs the emulator: on Azure nobody can open a connection to a VM, operators included. "
            "./fed logs PARTY --on azure and ./fed status --on azure go through the VM's run command"
        )
    return open_deployed(stack, on)
