"""The model card of each registered version: what it is for, what it was trained on, what it is worth, who
said yes. One for each party, from the tables that this party reads, and from nothing finer.

After Mitchell and others 2019, "Model Cards for Model Reporting" (https://doi.org/10.1145/3287560.3287596).
"""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .request import Request, Run
from .schema import FEDERATION
from .tables import CENTRE, Tables, label_of

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with sentences, and a table under them where there is one (its first row: headings)."""

    title: str
    text: Sequence[str] = ()
    table: Rows = ()


def cards(request: Request, tables: Mapping[str, Tables]) -> Iterator[tuple[str, str, str]]:
    """Party, file name and content of each card, as Markdown and HTML."""
    for run in request.runs:
        if run.card is None or run.version is None:
            continue
        for party, contents in tables.items():
            title = f"{run.job}, version {run.version}"
            sections = list(_sections(request, run, contents, party))
            name = f"card-{run.job}-{run.version}"
            yield party, f"{name}.md", as_markdown(title, sections)
            yield party, f"{name}.html", as_html(title, sections)


def _sections(request: Request, run: Run, tables: Tables, party: str) -> Iterator[Section]:
    card: Mapping[str, Any] = run.card or {}
    yield Section(
        "Purpose",
        (
            f"{card['title']}. {card['purpose']}",
            f"Asked for by {card['author']}, as the centre states. Trained {run.submitted:%d %B %Y} in"
            f" {run.rounds} rounds; job {run.run_id}.",
            "Not for any other purpose: its worth for patients of other places is not known.",
        ),
    )
    yield Section("Data", tuple(_data_sets(card)), tuple(_data(card, party)))
    rows = [row for row in tables["fact_metric"] if row["run_key"] == run.run_id and row["is_final"]]
    yield Section(
        "Measured",
        (
            "On test patients of each hospital, which no training saw. In brackets: the 95 % interval (Wilson"
            " for shares, Hanley and McNeil for AUCs).",
            f"A number of fewer than {request.policy.k} patients, and one of the federation from fewer than"
            " three hospitals, is withheld. Subgroups of patients were not measured.",
            *([] if rows else ["None of its metrics is among those of the dashboards: they are in MLflow."]),
        ),
        tuple(_measured(rows)),
    )
    calibration = tuple(_calibration(run, tables["fact_curve"]))
    yield Section(
        "Calibration",
        (
            "In groups of test patients: the mean predicted risk, and the share that has it, in brackets with"
            " its 95 % interval. A model that is calibrated has the two alike."
            if len(calibration) > 1
            else "Not known: the job lets out no histogram of its scores.",
        ),
        calibration,
    )
    yield Section("Gates", (f"Its gates: {run.gates}.", *(run.verdicts if party == CENTRE else ())))
    yield Section(
        "Privacy",
        (
            "Each hospital's airlock let out differences of weights within its bound on length, metrics and"
            f" histograms: {_answers(run)} answers in this run.",
            "Whether it added noise, and what is spent of its budget (epsilon), is in that hospital's own"
            " record (./fed audit); the centre does not learn it.",
        ),
    )
    yield Section(
        "Consent",
        (
            f"Approved by checksum before it ran, at: {', '.join(map(label_of, card['hospitals']))}.",
            f"Code {card['code']}. A hospital uses the model on patients of its own after a further yes.",
        ),
    )


def _data_sets(card: Mapping[str, Any]) -> Iterator[str]:
    for file, columns in card["columns"].items():
        known = card["data_sets"].get(file)
        schema = (
            f", data set {known['name']} {known['version']} (schema {known['sha256'][:12]})" if known else ""
        )
        yield f"{file}{schema}: {', '.join(columns)}."


def _data(card: Mapping[str, Any], party: str) -> Iterator[Sequence[str]]:
    """Each hospital's files; a hospital reads its own line alone (docs/adr/0089)."""
    yield "hospital", "file", "SHA-256", "rows, to the next ten"
    for hospital, files in sorted(card["data"].items()):
        if party in (CENTRE, hospital) and hospital in card["hospitals"]:
            for file, known in sorted(files.items()):
                rows = "" if known["rows"] is None else str(known["rows"])
                yield label_of(hospital), file, known["sha256"][:12], rows


def _measured(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """A line for each metric, a column for each place."""
    places = list(dict.fromkeys(str(row["site_key"]) for row in rows))
    found = {(row["metric_label"], row["site_key"]): row for row in rows}
    yield "", *("Federation" if place == FEDERATION else label_of(place) for place in places)
    for label in dict.fromkeys(row["metric_label"] for row in rows):
        yield label, *(_shown(found.get((label, place))) for place in places)


def _calibration(run: Run, curves: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """A line for each group of patients of each place that this party may see (curves.py)."""
    yield "", "mean predicted risk", "share that has it", "patients"
    for row in curves:
        if row["run_key"] == run.run_id and row["curve"] == "calibration":
            place = "Federation" if row["site_key"] == FEDERATION else label_of(row["site_key"])
            if row["x"] is None:
                yield place, f"withheld: {row['reason']}", "", ""
            else:
                share = f"{row['y']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
                yield place, f"{row['x']:.3f}", share, str(row["n"])


def _shown(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["suppressed"]:
        return f"withheld: {row['reason']}"
    ends = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})"
    return f"{row['value']:.4g}{ends}"


def _answers(run: Run) -> int:
    return sum(len(entry["sites"]) for entry in run.history)


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """A card as Markdown."""
    lines = [f"# Model card: {_plain(title)}", ""]
    for section in sections:
        lines += [f"## {section.title}", "", *(f"- {_plain(text)}" for text in section.text), ""]
        if len(section.table) > 1:
            heading, *rows = section.table
            lines += [_line(heading), "|" + " --- |" * len(heading), *map(_line, rows), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    """One line, of which Markdown makes no link, picture or tag."""
    kept = "".join(letter if letter.isprintable() else " " for letter in str(text))
    # The backslash first: one of the text's own would take the force of ours away.
    return kept.replace("\\", "\\\\").replace("<", "&lt;").replace("[", "\\[")


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1c2430}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ccd3dc;padding:.3em .8em;"
    "text-align:left}th{font-weight:600}"
)


def as_html(title: str, sections: Sequence[Section]) -> str:
    """A card as one page, which needs nothing else."""
    name = html.escape(f"Model card: {title}")
    body = [f"<h1>{name}</h1>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
        body += [f"<p>{html.escape(str(text))}</p>" for text in section.text]
        if len(section.table) > 1:
            heading, *rows = section.table
            body.append(f"<table><tr>{_cells('th', heading)}</tr>")
            body += [f"<tr>{_cells('td', row)}</tr>" for row in rows]
            body.append("</table>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _cells(tag: str, row: Sequence[str]) -> str:
    return "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row)
