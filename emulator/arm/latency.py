"""How long writes take: off (the default), or as long as on Azure, or a fraction of it."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latency:
    """A factor on Azure's typical durations; 0 is off."""

    scale: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Read ``off``, ``azure`` or ``azure:0.1`` (a tenth of Azure's durations)."""
        word, _, factor = text.strip().lower().partition(":")
        if word in {"", "off"} and not factor:
            return cls(0.0)
        try:
            scale = float(factor or 1)
        except ValueError:
            scale = -1
        if word != "azure" or scale <= 0:
            raise ValueError(
                f"FED_EMULATOR_LATENCY={text!r} is not understood: it would leave open how long writes take. "
                "Use off, azure, or azure:<factor> such as azure:0.1."
            )
        return cls(scale)

    @classmethod
    def from_environment(cls) -> Latency:
        """Read FED_EMULATOR_LATENCY."""
        return cls.parse(os.environ.get("FED_EMULATOR_LATENCY", "off"))

    def seconds(self, typical: float) -> float:
        """Return how long something takes here that typically takes so long on Azure."""
        return self.scale * typical
