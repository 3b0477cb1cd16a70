"""Recognises a create that was interrupted, so that running again converges.

An engine or a daemon that is killed between Azure's answer and the next checkpoint leaves a resource that no
state knows of; the real provider then refuses with `cannot create already existing resource`, and its user
imports. Here both sides belong to one clone, so the emulator can tell such a resource from anybody else's: it
was made for the same URN, and the checkpoint of that stack does not hold its id
(docs/adr/0033-an-interrupted-create-is-resumed.md).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path


class Creations:
    """Remembers for which URN each resource was made. Survives a killed daemon; any thread may call."""

    def __init__(self, file: Path, backend: Path) -> None:
        """Keep records in `file`; checkpoints are looked up in `backend`, a Pulumi file backend."""
        self._backend = backend
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS creations(id TEXT PRIMARY KEY, urn TEXT NOT NULL) WITHOUT ROWID"
        )

    def begin(self, resource_id: str, urn: str) -> None:
        """Note that a resource is about to be made."""
        with self._lock:
            self._database.execute(
                "INSERT OR REPLACE INTO creations VALUES(?, ?)", (resource_id.lower(), urn)
            )

    def forget(self, resource_id: str) -> None:
        """Note that a resource is gone."""
        with self._lock:
            self._database.execute("DELETE FROM creations WHERE id = ?", (resource_id.lower(),))

    def interrupted(self, resource_id: str, urn: str) -> bool:
        """Say whether a resource that exists is the work of an interrupted create of this URN."""
        with self._lock:
            row = self._database.execute(
                "SELECT urn FROM creations WHERE id = ?", (resource_id.lower(),)
            ).fetchone()
        return row is not None and row[0] == urn and not self._in_state(resource_id, urn)

    def _in_state(self, resource_id: str, urn: str) -> bool:
        stack, project = urn.removeprefix("urn:pulumi:").split("::")[:2]
        checkpoint = self._backend / ".pulumi" / "stacks" / project / f"{stack}.json"
        latest = json.loads(checkpoint.read_text())["checkpoint"].get("latest") or {}
        wanted = resource_id.lower()
        return any(str(known.get("id", "")).lower() == wanted for known in latest.get("resources") or ())
