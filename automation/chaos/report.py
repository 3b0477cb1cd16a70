"""A campaign's tables in a page: each part's section stands between its marks; new rows replace old ones."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from automation.chaos.trial import Campaign, markdown
from automation.ui.outcome import QuestionError

_BEGIN, _END = "<!-- fed chaos: {part} -->", "<!-- fed chaos: end of {part} -->"


def check(file: Path, parts: Collection[str]) -> None:
    """Raise QuestionError for a file that is there and has no marks for a part's section."""
    text = file.read_text(encoding="utf-8") if file.exists() else None
    for part in parts:
        if text is not None and not _section(part).search(text):
            raise QuestionError(
                f"{file} is there and has no marks {_BEGIN.format(part=part)} and {_END.format(part=part)}: "
                "name another file, or add them. Nothing was tried."
            )


def write(file: Path, campaign: Campaign, parts: Mapping[str, Collection[str]]) -> None:
    """Write a campaign into a file that `check` let pass; `parts` has the names of each part's faults.

    A page with marks keeps everything else, and what it says of faults that the campaign did not try. A new
    file gets one table.
    """
    if not file.exists():
        file.write_text(markdown(campaign), encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    for part, faults in parts.items():
        tried = [trial for trial in campaign.trials if trial.fault.partition(": ")[0] in faults]
        if tried:
            text = _put(text, part, replace(campaign, trials=tried))
    file.write_text(text, encoding="utf-8")


def _put(text: str, part: str, campaign: Campaign) -> str:
    def made_again(before: re.Match[str]) -> str:
        return f"{_BEGIN.format(part=part)}\n{markdown(campaign, before[0])}{_END.format(part=part)}"

    return _section(part).sub(made_again, text)


def _section(part: str) -> re.Pattern[str]:
    begin, end = (re.escape(mark.format(part=part)) for mark in (_BEGIN, _END))
    return re.compile(f"{begin}.*{end}", re.DOTALL)
