"""The images of a hospital's VM: what the stack names, the officers' answers, and the change between jobs."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, final

from container_server import metadata
from container_server.cadence import Cadence
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.config import Config
from container_server.hospital.image_policy import ImagePolicy
from container_server.images import Go, Images
from container_server.notices import Notice
from container_server.storage import BlobStore


@final
class OwnImages:
    """`run()` does what is due; the arguments are those of Images, and `policy` the officers' container."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        policy: BlobStore,
        user_data: Callable[[], str],
        go: Callable[[], Go | None],
        idle: Callable[[], AbstractContextManager[bool]],
        ill: Callable[[], str],
        tell: Callable[[str, Mapping[str, Any]], None],
    ):
        self._party = config.party
        # The demonstration takes what its stack names; everywhere else the officers are asked.
        is_dev = config.environment == "dev"
        self._policy = ImagePolicy(policy, config.agent, tell, all_are_approved=is_dev)
        self._images = Images(
            folder=config.images,
            memory=config.agent / "images.json",
            clock=clock,
            named=lambda: metadata.images(user_data),
            go=go,
            refusal=self._policy.refusal,
            idle=idle,
            ill=ill,
            tell=tell,
        )
        self._asking = Chore("image policy", Cadence(clock, 20.0), self._policy.step)
        self._changing = Chore("images", Cadence(clock, 5.0), self._images.step)

    @property
    def chores(self) -> tuple[Chore, ...]:
        """What is done here again and again."""
        return (self._asking, self._changing)

    @property
    def fault(self) -> str:
        """What is wrong with the officers' file."""
        return self._policy.fault

    @property
    def message(self) -> dict[str, str] | None:
        """How far this VM is, as reports have it."""
        standing = self._images.standing
        return standing.message() if standing else None

    def run(self) -> None:
        """Do what is due."""
        for chore in self.chores:
            chore.run()

    def at_once(self) -> None:
        """Do it at the next turn."""
        for chore in self.chores:
            chore.cadence.at_once()

    def review(self) -> list[dict[str, str]]:
        """The images that the stack names and that do not run yet, each with the officers' answer."""
        return [
            {"image": image, "digest": digest, "answer": self._policy.answer_to(image, digest)}
            for image, digest in sorted(self._images.waiting.items())
        ]

    def notices(self) -> list[Notice]:
        """That images wait for the officers."""
        standing = self._images.standing
        if standing is None or standing.state != "approval":
            return []
        text = f"other images wait: {standing.reason}. Fix: ./fed hospital review {self._party}"
        return [Notice(code="image-waits", about=standing.mark, text=text[:300])]
