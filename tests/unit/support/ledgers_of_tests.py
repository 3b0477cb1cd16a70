"""A ledger's safe place, for tests of what comes before it."""

from pathlib import Path


def at_once(ledger: Path) -> None:
    """The account has the ledger already (fed_site.kept.Keep)."""
