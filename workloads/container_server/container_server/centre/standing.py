"""What the hospitals say to one job's code, from their reports. Pure."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

Reports = Mapping[str, Mapping[str, Any]]
"""Hospital whose client may register -> its last report; empty while none was read."""
WHY_LENGTH = 200


@final
@dataclass(frozen=True, kw_only=True)
class Standing:
    """Who approved, refused, and has not answered."""

    approved: tuple[str, ...]
    refused: Mapping[str, str]
    """Hospital -> why."""
    waits: Mapping[str, float | None]
    """Hospital -> Unix time since when its officers have the job before them; None while they do not."""
    closed: Mapping[str, str]
    """Hospital of `waits` where nothing may run now -> why."""
    silent: tuple[str, ...]
    """Those of `waits` whose answers are not known, since no report of theirs was read."""

    @classmethod
    def of(cls, code: str, reports: Reports) -> "Standing":
        """From all members' reports."""
        answers = {name: report.get("jobs") or {} for name, report in sorted(reports.items())}
        approved = tuple(name for name, said in answers.items() if code in said.get("approved", ()))
        refused = {
            name: str(said["refused"][code])[:WHY_LENGTH]
            for name, said in answers.items()
            if code in said.get("refused", ())
        }
        answered = {*approved, *refused}
        return cls(
            approved=approved,
            refused=refused,
            waits={
                name: said.get("asked", {}).get(code)
                for name, said in answers.items()
                if name not in answered
            },
            closed={
                name: str(said["closed"])
                for name, said in answers.items()
                if "closed" in said and name not in answered
            },
            silent=tuple(name for name, said in answers.items() if not said),
        )

    def possible(self, minimum: int) -> bool:
        """Whether as many can still approve."""
        return len(self.approved) + len(self.waits) >= minimum

    def words(self, minimum: int) -> str:
        """For people: how many approved, who is waited for since when, who refused and why."""
        waits = ", ".join(
            f"{name} ({self.closed.get(name) or _since(since)})" for name, since in self.waits.items()
        )
        refused = "; ".join(f"{name} has refused: {why}" for name, why in self.refused.items())
        parts = [
            f"{len(self.approved)} of {minimum} hospitals needed have approved its code",
            f"it waits for {waits}" if waits else "",
            refused,
        ]
        return "; ".join(part for part in parts if part)


def _since(since: float | None) -> str:
    if since is None:
        return "not asked yet"
    return time.strftime("asked since %Y-%m-%d %H:%M UTC", time.gmtime(since))
