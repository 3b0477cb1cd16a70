"""One at a time at a ledger: a server may send two tasks at once, or start two jobs."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """Wait until no other thread or process is at the same file (flock(2)); whoever dies, leaves."""
    with path.with_name(path.name + ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
