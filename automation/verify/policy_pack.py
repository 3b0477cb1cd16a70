"""The policy pack for operations that start from Python: where it is, and what it said.

Pass `PACK` to ``Stack.preview`` or ``Stack.up`` as one of its ``policy_packs``, and each event to
`Violations.add`: the engine's JSON does not hold what a pack found.
"""

from typing import Final

from pulumi.automation.events import EngineEvent

from emulator.paths import REPOSITORY

PACK: Final = str(REPOSITORY / "policies")
"""The folder of the pack."""


class Violations:
    """What the pack found during one operation, in the engine's order and each only once."""

    def __init__(self) -> None:
        self.mandatory: list[str] = []
        self.advisory: list[str] = []

    def add(self, event: EngineEvent) -> None:
        """Take in an event; any but a policy's is ignored."""
        found = event.policy_event
        if found is None:
            return
        title, _, text = found.message.partition("\n")
        told = f"{text.strip() or title}\n    The rule: {found.policy_name}: {title}"
        kept = self.mandatory if found.enforcement_level == "mandatory" else self.advisory
        if told not in kept:
            kept.append(told)

    def text(self) -> str:
        """Return the mandatory violations in words; empty when there is none."""
        if not self.mandatory:
            return ""
        count = f"{len(self.mandatory)} ways" if len(self.mandatory) > 1 else "1 way"
        listed = "\n".join(f"- {told}" for told in self.mandatory)
        return f"this plan breaks the federation's own rules in {count}; nothing was deployed:\n{listed}"
