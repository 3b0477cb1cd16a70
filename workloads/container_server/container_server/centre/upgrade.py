"""Whose turn it is to run other images: the operator's word, for the centre itself and for each hospital."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from container_server import nvflare_versions
from container_server.centre.enrolments import Enrolments
from container_server.centre.members import CENTRE, Members
from container_server.errors import ContainerServerError, TransientError
from container_server.files import read_json, write_json
from container_server.images import Go, Images
from container_server.log import say


class UpgradeRefusedError(ContainerServerError):
    """An upgrade that must not begin."""


@final
class Upgrade:
    """Remembers the centre's turn in `memory`; a hospital's is in its membership and its desired state.

    `coming` gives the version of NVFlare in the images that the stack names.
    """

    def __init__(self, *, memory: Path, members: Members, enrolments: Enrolments, coming: Callable[[], str]):
        self._memory = memory
        self._members = members
        self._enrolments = enrolments
        self._coming = coming
        self._go = Go.of(read_json(memory))

    @property
    def go(self) -> Go | None:
        """The centre's turn."""
        return self._go

    def give(self, party: str, mark: str, own: Images) -> None:
        """Let a party run the set of images of that mark, now. Given again, nothing changes, unless that
        set failed there: it is tried again.

        Raises UpgradeRefusedError, UnknownHospitalError or TransientError.
        """
        if party == CENTRE:
            self._refuse_strangers()
            attempt = _attempt(self._go, mark, own.standing.message() if own.standing else {})
            self._go = Go(mark=mark, attempt=attempt)
            write_json(self._memory, {"mark": mark, "attempt": attempt})
        else:
            self._give_hospital(party, mark)
        say("its turn to run other images", party=party, mark=mark)

    def standing(self, party: str, own: Images) -> dict[str, Any]:
        """How far a party is, by its own word: state, mark, reason; `unknown` without any."""
        unknown = {"state": "unknown", "mark": "", "reason": "it has not said which images it runs"}
        if party == CENTRE:
            return own.standing.message() if own.standing else unknown
        self._members.get(party)
        said: dict[str, Any] | None = self._enrolments.channel(party).report.get("images")
        return dict(said) if said else unknown

    def _give_hospital(self, name: str, mark: str) -> None:
        member, report = self._members.get(name), self._enrolments.channel(name).report
        if not report:
            raise TransientError(f"{name} has not reported since this service began")
        said = report.get("images")
        if said is None:
            raise UpgradeRefusedError(f"{name} has not said which images it runs: its VM is older than this")
        if why := nvflare_versions.refusal(nvflare_versions.running(), {name: self._coming()}):
            raise UpgradeRefusedError(f"{why} (or upgrade the centre first)")
        attempt = _attempt(Go.of(member.images), mark, said)
        images = {"mark": mark, "attempt": attempt}
        self._enrolments.await_images(name)
        if member.images != images:
            self._members.change(name, images=images, owed=True)
            self._enrolments.tell(name)

    def _refuse_strangers(self) -> None:
        """The new server meets the clients that there are, before it replaces the old one."""
        reports = self._enrolments.reports()
        clients = {name: report["versions"].get("nvflare", "") for name, report in reports.items() if report}
        known = {name: version for name, version in clients.items() if version}
        if why := nvflare_versions.refusal(self._coming(), known):
            raise UpgradeRefusedError(why)


def _attempt(given: Go | None, mark: str, said: Mapping[str, Any]) -> int:
    if given is None or given.mark != mark:
        return 0
    failed = said.get("state") == "back" and said.get("mark") == mark
    return given.attempt + failed
