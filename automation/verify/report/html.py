"""The report for a security officer: one HTML file with everything in it, readable without this project."""

from markupsafe import Markup

from automation.verify.report.document import document
from automation.verify.report.picture import picture
from automation.verify.report.rendering import render
from automation.verify.report.terminal import sentence
from automation.verify.run import Outcome


def report(outcome: Outcome) -> str:
    """Return the report as HTML."""
    found = document(outcome)
    return render(
        "report.html.j2",
        found=found,
        verdict=sentence(found),
        picture=Markup(picture(outcome.shown)),  # noqa: S704 made from an escaping template
        intent=outcome.shown.intent,
        parties=outcome.shown.federation.parties,
    )
