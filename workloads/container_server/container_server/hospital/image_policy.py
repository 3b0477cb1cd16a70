"""Which of the platform's images this hospital's officers let run on its VM.

`images.json`, in the container `policy`, names digests. Without that file the demonstration (dev) takes what
its stack names; everywhere else an image that is new waits for the officers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

from container_server.hospital.officers_file import OfficersFile, PolicyError
from container_server.images import Digests
from container_server.storage import BlobStore, Unread

NAME: Final = "images.json"


@final
class ImagePolicy:
    """`step()` may raise TransientError; until the file was looked at, nothing new may run."""

    def __init__(
        self,
        policy: BlobStore,
        memory: Path,
        note: Callable[[str, Mapping[str, Any]], None],
        *,
        all_are_approved: bool,
    ):
        self._file = OfficersFile(policy, NAME, "images", memory)
        self._note = note
        self._without_file = all_are_approved
        self._said: dict[str, Any] | None = None
        self._looked = False
        self._asked: set[tuple[str, str]] = set()
        self.fault = ""
        """What is wrong with the officers' file."""

    def step(self) -> None:
        """Read the officers' file where it is new."""
        try:
            found = self._file.read()
            if found is Unread.ABSENT:
                self._said = None
            elif not isinstance(found, Unread):
                self._said = found
                self._note("images-answers", {"approved": found["approved"], "refused": found["refused"]})
            self._looked, self.fault = True, ""
        except PolicyError as error:
            self._said, self.fault = {"approved": [], "refused": []}, f"no other image runs until {error}"

    def answer_to(self, image: str, digest: str) -> str:
        """approved, refused or waiting; a digest is approved for the image that the officers named with it.

        A refused digest runs as no image.
        """
        if self._said is None:
            return "approved" if self._without_file and self._looked else "waiting"
        if any(entry["digest"] == digest for entry in self._said["refused"]):
            return "refused"
        known = {(entry["image"], entry["digest"]) for entry in self._said["approved"]}
        approved = (image, digest) in known
        return "approved" if approved else "waiting"

    def refusal(self, changes: Digests) -> str:
        """Why these images may not run here; empty when all may."""
        answers = {image: self.answer_to(image, digest) for image, digest in sorted(changes.items())}
        held = {image: answer for image, answer in answers.items() if answer != "approved"}
        if not held or self.fault:
            return self.fault
        self._ask(changes)
        refused = sorted(image for image, answer in held.items() if answer == "refused")
        if refused:
            return f"its officers refuse {', '.join(refused)}"
        return f"its officers are asked for {', '.join(sorted(held))}"

    def _ask(self, changes: Digests) -> None:
        """Put it into the record once: who approves sees there what is asked."""
        if new := dict(changes.items() - self._asked):
            self._note("images-asked", {"images": new})
            self._asked |= new.items()
