"""Which report a job gets."""

from fed_server.binary_classifier import BinaryClassifier
from fed_server.plan import Plan
from fed_server.report import Report
from fed_server.statistics import StatisticsReport


def report_of(plan: Plan) -> Report:
    """By its workflow, and by the kind that it names."""
    if plan.workflow == "statistics":
        return StatisticsReport(plan)
    return BinaryClassifier(plan) if plan.report else Report(plan)
