"""When lines of a log were written, by the times that they begin with. Pure."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from automation.ui.outcome import QuestionError

_AGO = re.compile(r"(\d{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TIME = re.compile(
    r'(?:\{"time": ")?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)'
    r"(?:[.,]\d{1,6})?(Z|[+-]\d\d:\d\d)?"
)
"""As the container server writes it (JSON, UTC), NVFlare (2026-12-01 16:13:52,447), MLflow
(2026/12/01 16:13:52).
"""


def moment(text: str, now: datetime) -> datetime:
    """Return what `90s`, `10m`, `2h`, `1d` (before `now`) or an ISO time says; one without a zone is local.

    Raises QuestionError for anything else.
    """
    if found := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise QuestionError(
            f"--since {text}: expected 90s, 10m, 2h, 1d, or a time such as 2026-12-01T16:00"
        ) from error


def later(lines: Iterable[str], since: datetime, zone: tzinfo | None) -> Iterator[str]:
    """Yield the lines written at `since` or later; one without a time goes with the line before it.

    `zone` is that of times which do not name theirs; None: this machine's.
    """
    shown = False
    for line in lines:
        if (written := _written(line, zone)) is not None:
            shown = written >= since
        if shown:
            yield line


def _written(line: str, zone: tzinfo | None) -> datetime | None:
    found = _TIME.match(line)
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        at = datetime(year, month, day, hour, minute, second)
    except ValueError:  # figures that are no time
        return None
    named = found[7]
    if named is None:
        return at.astimezone() if zone is None else at.replace(tzinfo=zone)
    return datetime.fromisoformat(at.isoformat() + named.replace("Z", "+00:00")).astimezone(UTC)
