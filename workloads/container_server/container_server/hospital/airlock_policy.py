"""The hospital's policy for its airlock: from its officers' file to the client, which only reads it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

from container_server.files import write_bytes
from container_server.hospital.officers_file import OfficersFile, PolicyError
from container_server.log import say
from container_server.storage import BlobStore, Unread

NAME: Final = "airlock.json"
"""The officers' file in the container `policy`, and the client's copy in the folder of the answers."""


@final
class AirlockPolicy:
    """Without a file the platform's defaults hold; with one that is wrong, or gone, nothing leaves."""

    def __init__(
        self,
        policy: BlobStore,
        answers: Path,
        memory: Path,
        note: Callable[[str, Mapping[str, Any]], None],
    ):
        self._file = OfficersFile(policy, NAME, "airlock", memory)
        self._copy = answers / NAME
        self._note = note
        self.fault = ""
        """What is wrong with the officers' file."""

    def step(self) -> None:
        """Bring it. May raise TransientError."""
        try:
            found = self._file.read()
            if found is not Unread.UNCHANGED:
                self._bring({} if found is Unread.ABSENT else found)
            self.fault = ""
        except PolicyError as error:
            self._copy.unlink(missing_ok=True)
            self.fault = f"nothing leaves until {error}"

    def _bring(self, policy: Mapping[str, Any]) -> None:
        own = {key: value for key, value in policy.items() if key != "schema"}
        content = json.dumps(own).encode()
        before = self._copy.read_bytes() if self._copy.is_file() else None
        if before == content:
            return
        if policy or before:
            self._note("airlock", {"policy": own})
        write_bytes(self._copy, content, 0o644)
        say("policy of the airlock", content=own)
