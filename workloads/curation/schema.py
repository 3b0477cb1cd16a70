"""The curated tables, column by column: the one truth for writer, local pages and Power BI models.

Each table is one Parquet file, `curated/<table>.parquet`: in the centre's container `server` with everything
the centre may see, in `client-<hospital>` with the hospital's own rows, the federation's, and what the others
share. Dimensions have one row a key; a fact refers to them by columns of the same name. Numbers that do not
apply, or are withheld, are null; texts that do not apply are "-".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from . import policy as rules

Kind = Literal["string", "int64", "double", "boolean", "dateTime"]
"""Types by the names that tabular models use; `dateTime` is in UTC, to the millisecond."""

FEDERATION: Final = "federation"
"""The site that stands for all contributing hospitals together."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `values`: those allowed, where there is a list; `unit`: of a number."""

    name: str
    kind: Kind
    description: str
    nullable: bool = False
    unit: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `key`: the columns no two rows share; `refers_to`: key column -> dimension."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    refers_to: Mapping[str, str]

    def column(self, name: str) -> Column:
        """A column by its name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name}")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of training. `better`: which way is good; `decimals`: as shown."""

    label: str
    description: str
    better: Literal["higher", "lower", "neither"]
    decimals: int = 3


STATISTICS: Final = MappingProxyType(
    {
        "count": "patients with a value, to the nearest 5",
        "mean": "mean of the values, in the feature's unit; of an indicator the share that has it",
        "stddev": "standard deviation (n - 1), in the feature's unit",
        "missing": "share of patients without a value, 0 to 1",
    }
)
"""Statistic -> what it is."""

SITE_METRICS: Final = MappingProxyType(
    {
        "auc": Metric("AUC", "area under the ROC curve on the hospital's own test patients", "higher"),
        "accuracy": Metric(
            "Accuracy", "share of test patients classified rightly at a risk of 0.5", "higher"
        ),
        "brier": Metric("Brier score", "mean squared error of the predicted risk", "lower"),
        "loss": Metric("Log loss", "mean negative log likelihood", "lower"),
        "calibration_in_the_large": Metric(
            "Calibration in the large", "mean predicted risk minus the share that is ill", "neither"
        ),
        "own_auc": Metric("AUC, own data only", "of the model this hospital reaches alone", "higher"),
        "own_accuracy": Metric("Accuracy, own data only", "of the model it reaches alone", "higher"),
        "own_brier": Metric("Brier score, own data only", "of the model it reaches alone", "lower"),
        "concordance": Metric(
            "Concordance", "Harrell's C of the predicted risk on the hospital's own test patients", "higher"
        ),
        "own_concordance": Metric("Concordance, own data only", "of the model it reaches alone", "higher"),
        "prevalence": Metric("Prevalence", "share of patients who are ill", "neither"),
        "n_train": Metric("Training patients", "patients trained on, to the nearest 5", "neither", 0),
        "n_test": Metric("Test patients", "patients measured on, to the nearest 5", "neither", 0),
    }
)
"""Metrics that a hospital sends in each round."""

FEDERATION_METRICS: Final = MappingProxyType(
    {
        "mean_site_auc": Metric("Mean AUC of hospitals", "plain mean of the hospitals' AUCs", "higher"),
        "accuracy": Metric("Accuracy", "over the contributing hospitals' test patients", "higher"),
        "brier": Metric("Brier score", "over the contributing hospitals' test patients", "lower"),
        "loss": Metric("Log loss", "over the contributing hospitals' test patients", "lower"),
        "calibration_in_the_large": Metric(
            "Calibration in the large", "over the contributing hospitals' test patients", "neither"
        ),
        "mean_own_only_auc": Metric("Mean AUC alone", "plain mean of what each reaches alone", "higher"),
        "mean_site_auc_gain": Metric(
            "Mean gain in AUC", "federated minus alone, mean of hospitals", "higher"
        ),
        "mean_concordance": Metric("Mean concordance", "plain mean of the hospitals' concordances", "higher"),
        "mean_own_concordance": Metric(
            "Mean concordance alone", "plain mean of what each reaches alone", "higher"
        ),
        "mean_concordance_gain": Metric(
            "Mean gain in concordance", "federated minus alone, mean of hospitals", "higher"
        ),
        "seconds": Metric("Seconds", "duration of the round", "lower", 1),
        "hospitals": Metric("Hospitals", "hospitals that answered in the round", "higher", 0),
    }
)
"""Metrics of the federation in each round; recomputed from the hospitals whose metrics are shown."""

CURVES: Final = MappingProxyType(
    {
        "roc": "true against false positive rate, at each score that cells end at",
        "calibration": "share that has it against the mean predicted risk, in groups of patients",
    }
)
"""Curve -> what it is."""

REASONS: Final = MappingProxyType(
    {
        "": "shown",
        rules.WITHHELD: "its own policy did not let the value out",
        rules.FEW: "so few may point at persons",
        rules.ONE_SIDE: "an indicator, or a class, that nearly all or nearly none have",
        rules.COMPLEMENT: "complementary: without it a hidden neighbour could be worked out",
        rules.CHANGED: "the difference would describe fewer than k patients",
        rules.REPEATED: "shown, and repeated from that run",
        rules.FEW_HOSPITALS: "with two, each could work the other out",
        rules.HIDDEN_PART: "a total of the others would give it away",
    }
)
"""Reason -> explanation. In texts for people, k is the number itself."""

_RUN = Column("run_key", "string", "id of the job")
_SITE = Column("site_key", "string", f"hospital, or `{FEDERATION}`")
_FEATURE = Column("feature_key", "string", "feature")
_SUPPRESSED = Column("suppressed", "boolean", "whether the value is withheld for privacy")
_REASON = Column("reason", "string", "why it is withheld, or repeated; else empty", values=tuple(REASONS))
_SHARED = Column(
    "is_shared", "boolean", "whether every hospital may see this row; false: its own hospital only"
)

DIM_SITE: Final = Table(
    "dim_site",
    "The hospitals, and the federation as a whole.",
    (
        _SITE,
        Column("site_label", "string", "name for people"),
        Column("kind", "string", "what it is", values=("hospital", "federation")),
        Column("sort_order", "int64", "0 for the federation, then hospitals by name"),
        Column("is_own", "boolean", "whether the hospital whose container this is (never in the centre's)"),
        Column(
            "state",
            "string",
            "what the hospital last reported; `-` for others than the container's own",
            values=("unenrolled", "enrolled", "verified", "running", "degraded", "stopped", "unknown", "-"),
        ),
        Column("reported_at", "dateTime", "when it last reported", nullable=True),
        Column("patients", "int64", "patients, to the nearest 5", nullable=True, unit="patients"),
    ),
    ("site_key",),
    {},
)

DIM_FEATURE: Final = Table(
    "dim_feature",
    "The features that statistics describe.",
    (
        _FEATURE,
        Column("feature_label", "string", "name for people"),
        Column(
            "kind", "string", "measured number, or whether something is so", values=("number", "indicator")
        ),
        Column("unit", "string", "unit of its values; `share` for an indicator"),
        Column("low", "double", "lowest value of its histogram"),
        Column("high", "double", "highest value of its histogram"),
        Column("decimals", "int64", "digits after the point to which its mean and deviation are given"),
        Column("sort_order", "int64", "order for people"),
    ),
    ("feature_key",),
    {},
)

DIM_RUN: Final = Table(
    "dim_run",
    "The jobs that ended, newest last.",
    (
        _RUN,
        Column("run_label", "string", "job, number and day for people: `heart 2, 29 Nov`, with `(aborted)`"),
        Column("job", "string", "name of the job"),
        Column("number", "int64", "1 for the first run of this job"),
        Column("state", "string", "how it ended", values=("finished", "failed", "aborted")),
        Column("started_at", "dateTime", "when it was submitted"),
        Column("seconds", "double", "how long it ran", nullable=True, unit="s"),
        Column("rounds", "int64", "rounds asked for; 0 for a job without rounds"),
        Column("rounds_done", "int64", "rounds done"),
        Column("model_version", "int64", "version registered in MLflow", nullable=True),
        Column("gates", "string", "quality gates", values=("passed", "failed", "-")),
        Column("code_version", "string", "git revision of the job's code"),
        Column("parameters", "string", "what was asked for: `steps=5`"),
        Column("privacy_policy", "string", "rules applied to this table: `k=10, hospitals>=3, rounded to 5`"),
        Column("smallest_cell", "int64", "k of the policy", unit="patients"),
        Column("is_latest", "boolean", "whether it is the newest finished run of its job"),
    ),
    ("run_key",),
    {},
)

FACT_STATISTICS: Final = Table(
    "fact_statistics",
    "One statistic of one feature at one site in one run.",
    (
        _RUN,
        _SITE,
        _FEATURE,
        Column("dataset", "string", "which patients: all of a hospital", values=("patients",)),
        Column("statistic", "string", "which", values=tuple(STATISTICS)),
        Column("value", "double", "its value; null when withheld", nullable=True),
        _SUPPRESSED,
        _REASON,
        _SHARED,
        Column("hospitals", "int64", "contributing hospitals; 1 for a hospital's own row", unit="hospitals"),
    ),
    ("run_key", "site_key", "feature_key", "dataset", "statistic"),
    {"run_key": "dim_run", "site_key": "dim_site", "feature_key": "dim_feature"},
)

FACT_HISTOGRAM: Final = Table(
    "fact_histogram",
    "One cell of the histogram of one feature at one site in one run.",
    (
        _RUN,
        _SITE,
        _FEATURE,
        Column("dataset", "string", "which patients: all of a hospital", values=("patients",)),
        Column("cell", "int64", "number of the cell, 0 the lowest"),
        Column("cell_label", "string", "its range for people: `48 to 55`; `no`, `yes` for an indicator"),
        Column("low", "double", "lower bound, included"),
        Column("high", "double", "upper bound"),
        Column(
            "count",
            "double",
            "patients, to the nearest 5; null when withheld",
            nullable=True,
            unit="patients",
        ),
        Column("share", "double", "count over the site's count, 0 to 1; null when withheld", nullable=True),
        _SUPPRESSED,
        _REASON,
        _SHARED,
    ),
    ("run_key", "site_key", "feature_key", "dataset", "cell"),
    {"run_key": "dim_run", "site_key": "dim_site", "feature_key": "dim_feature"},
)

FACT_METRIC: Final = Table(
    "fact_metric",
    "One metric of the model after one round, at one site.",
    (
        _RUN,
        _SITE,
        Column("model", "string", "name of the model: its job"),
        Column("version", "int64", "version registered in MLflow", nullable=True),
        Column("round", "int64", "rounds of training before it was measured"),
        Column("is_final", "boolean", "whether this is the run's last measured round"),
        Column(
            "metric", "string", "which", values=tuple(dict.fromkeys((*SITE_METRICS, *FEDERATION_METRICS)))
        ),
        Column("metric_label", "string", "name for people"),
        Column("value", "double", "its value; null when withheld", nullable=True),
        Column("n", "int64", "patients it was measured on, to the nearest 5", nullable=True, unit="patients"),
        Column("low", "double", "lower end of the 95 % interval; null where none is known", nullable=True),
        Column("high", "double", "upper end of the 95 % interval; null where none is known", nullable=True),
        _SUPPRESSED,
        _REASON,
        _SHARED,
    ),
    ("run_key", "site_key", "round", "metric"),
    {"run_key": "dim_run", "site_key": "dim_site"},
)

FACT_CURVE: Final = Table(
    "fact_curve",
    "One point of a curve of a run's last model at one site; a withheld curve is one point without numbers.",
    (
        _RUN,
        _SITE,
        Column("model", "string", "name of the model: its job"),
        Column("curve", "string", "which", values=tuple(CURVES)),
        Column("point", "int64", "number of the point, 0 the leftmost"),
        Column(
            "x",
            "double",
            "of a ROC curve the false positive rate, else the mean predicted risk",
            nullable=True,
        ),
        Column(
            "y", "double", "of a ROC curve the true positive rate, else the share that has it", nullable=True
        ),
        Column("n", "int64", "patients behind a point of a calibration", nullable=True, unit="patients"),
        Column("low", "double", "lower end of y's 95 % interval, of a calibration", nullable=True),
        Column("high", "double", "upper end of y's 95 % interval, of a calibration", nullable=True),
        _SUPPRESSED,
        _REASON,
        _SHARED,
    ),
    ("run_key", "site_key", "curve", "point"),
    {"run_key": "dim_run", "site_key": "dim_site"},
)

ACCESS: Final = Table(
    "access",
    "Who may see which site's rows: for row-level security, the second lock behind the container's own.",
    (
        Column("principal", "string", "party whose readers may see the site: `centre` or a hospital"),
        _SITE,
    ),
    ("principal", "site_key"),
    {"site_key": "dim_site"},
)

TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        table.name: table
        for table in (
            DIM_SITE,
            DIM_FEATURE,
            DIM_RUN,
            FACT_STATISTICS,
            FACT_HISTOGRAM,
            FACT_METRIC,
            FACT_CURVE,
            ACCESS,
        )
    }
)
"""Name -> table: every file in a `curated/` folder."""
