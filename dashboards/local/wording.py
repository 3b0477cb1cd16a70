"""Numbers in words for people: Power BI's format strings, and what is where a number is withheld."""

from datetime import datetime

from dashboards.local.cube import Number
from workloads.curation import policy as rules

FEW = (rules.FEW, rules.ONE_SIDE)
HIDDEN = "hidden"
NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def shown(number: Number, form: str, k: int) -> str:
    """Return the number as `form` says; `<k` or `hidden` where it is withheld; a dash where there is none."""
    if isinstance(number.value, datetime):
        return f"{number.value.day} {number.value:%b %Y %H:%M}"
    if number.value is None:
        return withheld(number.reason, k) if number.reason else NOTHING
    return formatted(float(number.value), form)


def withheld(reason: str, k: int) -> str:
    """Return what is in place of a withheld number."""
    return f"<{k}" if reason in FEW else HIDDEN


def because(reason: str, k: int) -> str:
    """Return the reason with the number that k stands for: `fewer than 10 patients`."""
    return reason.replace("k patients", f"{k} patients")


def formatted(value: float, form: str) -> str:
    """Return a number by a format string: `0`, `#,##0`, `0.000`, `#,##0.0##`, `0.0 %`, `+0.00;-0.00;0.00`."""
    positive, _, rest = form.partition(";")
    percent = positive.endswith("%")
    digits = positive.removesuffix("%").strip().lstrip("+").partition(".")[2]
    scaled = value * 100 if percent else value
    text = f"{abs(scaled):,.{len(digits)}f}" if "," in positive else f"{abs(scaled):.{len(digits)}f}"
    for _ in range(digits.count("#")):
        text = text.removesuffix("0")
    nothing = not float(text.replace(",", ""))
    sign = "" if nothing else MINUS if scaled < 0 else "+" if rest else ""
    return sign + text + (" %" if percent else "")
