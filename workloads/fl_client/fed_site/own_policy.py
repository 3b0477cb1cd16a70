"""The hospital's own policy for its airlock, as its officers keep it in `policy/airlock.json`.

The container server brings it into the folder of the answers, which is mounted read-only, once it is checked
(airlock.schema.json); without the file nothing leaves.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

from fed_site.airlock import Limits, Refusal, RefusedError
from fed_site.consent import ANSWERS
from fed_site.privacy import Budget

OWN_POLICY = ANSWERS.with_name("airlock.json")


@final
@dataclass(frozen=True, kw_only=True)
class OwnPolicy:
    """What the officers decided, or the platform's defaults."""

    longest: float = Limits.longest
    """See `Limits`."""
    budget: Budget | None = None
    """For noise on differences; None for none."""
    tells_errors: bool = True
    """Whether a job's author learns class, file and line of an error of his code."""

    @classmethod
    def read(cls, path: Path) -> "OwnPolicy":
        """From the container server's file. Raises RefusedError where it is missing or not as it must be."""
        try:
            content = json.loads(path.read_text())
            privacy = content.get("privacy")
            budget = Budget.read(privacy) if privacy else None
            return cls(
                longest=float(content.get("longest", cls.longest)),
                budget=budget,
                tells_errors=content.get("errors", "place") == "place",
            )
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise RefusedError(Refusal.POLICY) from error
