"""The jobs that can be run: those of the image, and those that came through the inbox."""

from pathlib import Path
from typing import final

from container_server.centre.job_folder import FILE, JobFolder, JobRefusedError


@final
class Catalogue:
    """`platform` is the folder of the image's jobs; `inbox` that of others, each below its name."""

    def __init__(self, platform: Path, inbox: Path):
        self._platform = platform
        self.inbox = inbox

    def is_platforms(self, name: str) -> bool:
        """Whether the image has a job of that name, which no other takes."""
        return name in self._names(self._platform)

    def find(self, name: str) -> JobFolder:
        """The job of that name. Raises JobRefusedError naming those there are."""
        own, others = self._names(self._platform), self._names(self.inbox)
        if name not in own | others:
            known = ", ".join(sorted(own | others)) or "none"
            raise JobRefusedError(f"there is no job {name!r}; there are: {known}")
        return JobFolder.read((self._platform if name in own else self.inbox) / name)

    @staticmethod
    def _names(folder: Path) -> set[str]:
        return {path.parent.name for path in folder.glob(f"*/{FILE}")}
