"""Shows what containers say, from the datacentre or through Resource Manager."""

import codecs
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from automation.operate import centre as centres
from automation.operate import log_times, machines
from automation.operate.emulated import running_datacentre
from automation.operate.machines import Centre
from automation.stacks import deploy
from automation.stacks.target import Target, open_deployed
from automation.ui.console import write
from automation.ui.options import On
from automation.ui.outcome import QuestionError
from automation.ui.plain import plain
from federation.outputs import Outputs
from federation.parties import CENTRE
from workloads.container_server.container_server import questions

LINES = 40
"""On Azure, where a run command carries 4 KB."""
MOST_LINES = 1000
"""Asked for with a time, of which the answer has as many as it carries."""
_BOTH_STREAMS = 'docker logs --tail "$0" "$1" 2>&1'
"""In the order in which the container wrote them."""


def show(
    stack: str,
    on: On,
    party: str,
    container: str,
    *,
    follow: bool,
    tail: int | None = None,
    since: str | None = None,
    account: str | None = None,
) -> None:
    """Write a container's log to standard output, as plain text: a job at a hospital writes into it, too.

    `since` is a duration before now or a time (log_times.py), compared with those in the lines.

    Raises QuestionError for a party or container that the stack does not have, and for a `since` that is
    neither, RefusedError when nothing runs.
    """
    if follow and (tail or since):
        option = "--tail" if tail else "--since"
        raise QuestionError(f"--follow shows all that was said before, too: leave {option} out")
    zone = UTC if on is On.AZURE else None
    wanted = _Wanted(
        tail=tail, since=log_times.moment(since, datetime.now(UTC)) if since else None, zone=zone
    )
    if follow and on is On.AZURE:
        raise QuestionError("--follow needs the emulator: on Azure a question has one answer")
    if account is not None:
        if party != CENTRE:
            raise QuestionError(f"--account names the centre's account: {party}'s logs are on its own VM")
        _told(centres.reach(stack, on, account).centre, container, wanted)
        return
    target = open_deployed(stack, on)
    outputs = deploy.outputs(target)
    machines.of(outputs, party)
    if target.emulator is None:
        _on_azure(target, outputs, party, container, wanted)
        return
    said = running_datacentre(target).logs(machines.vm_name(outputs, party), container, follow=follow)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = (plain(decoder.decode(piece)) for piece in said)
    for piece in text if wanted.all else [wanted.of("".join(text))]:
        write(piece)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """Which lines: those since a time, the last `tail` of them; None: all. `zone`: see log_times.later."""

    tail: int | None = None
    since: datetime | None = None
    zone: tzinfo | None = None

    @property
    def all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.tail or self.since)

    @property
    def asked(self) -> int:
        """How many lines Azure is asked for."""
        return MOST_LINES if self.since else self.tail or LINES

    def of(self, text: str) -> str:
        """Return those lines of a log."""
        lines = text.splitlines(keepends=True)
        if self.since:
            lines = list(log_times.later(lines, self.since, self.zone))
        return "".join(lines[-self.tail :] if self.tail else lines)


def _on_azure(target: Target, outputs: Outputs[str], party: str, container: str, wanted: _Wanted) -> None:
    """Ask the centre for its containers' logs, a hospital's VM itself."""
    if party == CENTRE:
        _told(centres.of(target, outputs).centre, container, wanted)
        return
    machines.refuse_mute(
        target.name, party, "its logs stay on its VM. What it reports to the centre: ./fed status"
    )
    words = ["sh", "-c", _BOTH_STREAMS, str(wanted.asked), container]
    said = machines.run(target.arm(), machines.of(outputs, party), words)
    if said.code:
        raise QuestionError(f"{party}'s VM has no log of {container}: {said.stdout.strip()[-300:]}")
    write(wanted.of(said.stdout))


def _told(centre: Centre, container: str, wanted: _Wanted) -> None:
    lines = centre.ask(questions.Logs(container=container, tail=wanted.asked))["lines"]
    write(wanted.of("".join(f"{line}\n" for line in reversed(lines))))
