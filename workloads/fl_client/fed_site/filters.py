"""The hospital's airlock as NVFlare's filters, named in its privacy.json: every task and answer of any job
passes.

NVFlare skips a DXOFilter for kinds that it does not name, so both are plain filters, closed by default.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fed_box.channel import HISTOGRAMS_KEY, PATIENT_CHANGE
from numpy.typing import NDArray
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.statistics_spec import Bin, DataType, Feature, Histogram, HistogramType
from nvflare.app_common.app_constant import AppConstants, StatisticsConstants
from nvflare.app_common.statistics.statisitcs_objects_decomposer import fobs_registration
from nvflare.fuel.utils import fobs

from fed_site.airlock import (
    Limits,
    Model,
    Noise,
    Refusal,
    RefusedError,
    difference,
    histograms,
    is_number,
    metrics,
    patients_of,
    place,
)
from fed_site.announced import among, manifest_of, others
from fed_site.kept import Keep, in_the_account
from fed_site.ledgers import BUDGET_FILE, RELEASED_FILE
from fed_site.manifest import Manifest
from fed_site.notes import Notes, count, summary
from fed_site.own_policy import OWN_POLICY, OwnPolicy
from fed_site.own_statistics import Middles, OwnStatistics, Statistics, StatisticsLimits
from fed_site.patients import OwnFiles, own_files
from fed_site.privacy import Budget, Ledger, gaussian
from fed_site.start import WORK

DATA_SHA256 = "data_sha256"
"""Meta key of the checksum of the hospital's files, which the airlock states itself."""
REFUSAL_HEADER = "fed_refusal"
"""Header of a refused answer: the sentence of `Refusal`, and where in the job's own code an error was."""
UNANNOUNCED = "not announced"
"""In a note: names of metrics and histograms that the job's manifest does not have, and that stayed here."""
_DESCRIBED = "fed_described"
"""How many numbers statistics are, until the note is made."""
ERROR_HEADER = "fed_box_error"
"""Header of an answer that is none: `kind`, `file` and `line` of the error of the job's code."""
_ROUND = "fed_site.round"
_SENT = "fed_site.model_sent"
_MIDDLES = "fed_site.federations_means"
_STEPS = (StatisticsConstants.STATS_1st_STATISTICS, StatisticsConstants.STATS_2nd_STATISTICS)


class SentModel(Filter):  # type: ignore[misc]  # nvflare has no types
    """Remembers, for `Airlock`, what a task brings: the model, the federation's means; changes nothing.

    The model is no copy: in this process nobody trains, and the box gets its own.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """See Filter."""
        fl_ctx.set_prop(_ROUND, shareable.get_header(AppConstants.CURRENT_ROUND), private=True, sticky=False)
        fl_ctx.set_prop(_SENT, _model(shareable), private=True, sticky=False)
        fl_ctx.set_prop(_MIDDLES, _middles(shareable), private=True, sticky=False)
        return shareable


class Airlock(Filter):  # type: ignore[misc]  # nvflare has no types
    """Lets out what `fed_site.airlock` and `fed_site.own_statistics` allow, in a new answer; nothing else.

    Of the job's answer no key, header, text or return code is kept. A refused answer carries a sentence of
    `Refusal` as its return code, which NVFlare's controllers show to the job's author.
    """

    def __init__(
        self,
        files: OwnFiles | None = None,
        notes: Notes | None = None,
        folder: Path = WORK,
        *,
        policy: Path = OWN_POLICY,
        manifest: Manifest | None = None,
        keep: Keep = in_the_account,
    ):
        super().__init__()
        self._keep = keep
        self._manifest = manifest
        """Of the job that runs here; read when its first answer leaves."""
        self._notes = notes or Notes()
        fobs_registration()
        self._files = files or own_files()
        self._agreed: OwnFiles | None = None
        self._limits = Limits()
        self._released_before = folder / RELEASED_FILE
        self._statistics: OwnStatistics | None = None
        self._ledger = Ledger(folder / BUDGET_FILE, keep)
        self._policy_file = policy
        self._policy = OwnPolicy()
        self._given = 0
        """Answers of this run, of which this process is the only one (launcher.py). One that stays counts as
        well: the sentence that says why is chosen by the job's code.
        """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """See Filter."""
        job, task = str(fl_ctx.get_job_id()), _task(fl_ctx)
        try:
            released = self._released(shareable, fl_ctx)
        except RefusedError as error:
            self.logger.error(f"an answer stays here: {error}")
            self._notes.note(job, task, {"refused": str(error)})
            return _refused(error)
        finally:
            self._given += 1
        strange = released.meta.pop(UNANNOUNCED, [])
        described = released.meta.pop(_DESCRIBED, 0)
        more = {UNANNOUNCED: strange} if strange else {}
        self._notes.note(job, task, {**summary(released, described), **more, **self.spent(fl_ctx)})
        return released.to_shareable()

    def _released(self, shareable: Shareable, fl_ctx: FLContext) -> DXO:
        self._policy = OwnPolicy.read(self._policy_file)  # at each answer: the officers may change it
        if self._given >= self._announced(fl_ctx).answers:
            raise RefusedError(Refusal.ANSWERS)
        if shareable.get_return_code() != ReturnCode.OK:
            error = shareable.get_header(ERROR_HEADER) if self._policy.tells_errors else None
            raise RefusedError(Refusal.RETURN_CODE, place(error))
        try:
            answer = from_shareable(shareable)
        except ValueError as error:
            raise RefusedError(Refusal.NO_DXO) from error
        if answer.data_kind in (DataKind.WEIGHT_DIFF, DataKind.WEIGHTS):
            return self._update(answer, fl_ctx.get_prop(_SENT), self._announced(fl_ctx))
        if answer.data_kind == DataKind.METRICS:
            names = self._announced(fl_ctx).metrics
            left = metrics(answer.data, self._limits, frozenset(names))
            return DXO(DataKind.METRICS, left, {UNANNOUNCED: others(answer.data, names)})
        if answer.data_kind == DataKind.STATISTICS:
            return self._described(answer.data, fl_ctx)
        raise RefusedError(Refusal.KIND)

    def _announced(self, fl_ctx: FLContext) -> Manifest:
        self._manifest = self._manifest or manifest_of(fl_ctx)
        return self._manifest

    def _own(self, announced: Manifest) -> OwnFiles:
        """The files that were agreed, counted once a run: a box sees those of its start to its end."""
        self._agreed = self._agreed or self._files.of(announced.data)
        return self._agreed

    def _update(self, answer: DXO, sent: Model | None, announced: Manifest) -> DXO:
        files = self._own(announced)
        own = files.patients
        if own < 1:
            raise RefusedError(Refusal.NO_PATIENTS)
        whole = answer.data_kind == DataKind.WEIGHTS
        limits = replace(self._limits, longest=self._policy.longest)
        meta: dict[str, Any] = {DATA_SHA256: files.sha256}
        patients = patients_of(answer.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND), own)
        if patients is not None:
            meta[MetaKey.NUM_STEPS_CURRENT_ROUND] = patients
        measured, counted = (answer.get_meta_prop(key) for key in (MetaKey.INITIAL_METRICS, HISTOGRAMS_KEY))
        meta[MetaKey.INITIAL_METRICS] = metrics(measured, self._limits, frozenset(announced.metrics))
        if counted is not None:
            meta[HISTOGRAMS_KEY] = histograms(
                among(counted, announced.histograms), own, self._limits, announced.histograms
            )
        meta[UNANNOUNCED] = others(measured, announced.metrics) + others(counted, announced.histograms)
        # Last: drawing it is paid for.
        noise = self._noise(answer.get_meta_prop(PATIENT_CHANGE), announced.study)
        data = difference(answer.data, sent, limits, whole=whole, noise=noise, announced=announced.model)
        return DXO(DataKind.WEIGHT_DIFF, data, meta)

    def _noise(self, stated: Any, study: str) -> Noise | None:
        budget = self._policy.budget
        if budget is None:
            return None
        if not budget.knows(study):
            raise RefusedError(Refusal.STUDY)
        change = float(stated) if is_number(stated) and stated > 0 else None
        return lambda size: self._paid(size, budget, change, study)

    def _paid(self, size: int, budget: Budget, change: float | None, study: str) -> NDArray[np.float64]:
        try:
            taken = self._ledger.take(budget, study)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.logger.error(f"the ledger of the privacy budget cannot be used: {error}")
            raise RefusedError(Refusal.LEDGER) from error
        if not taken:
            raise RefusedError(Refusal.SPENT)
        return gaussian(size, budget.deviation(self._policy.longest, change, study))

    def spent(self, fl_ctx: FLContext) -> dict[str, Any]:
        """What of its privacy budget the hospital has spent so far, and of its study; nothing without one."""
        budget, study = self._policy.budget, self._announced(fl_ctx).study
        if budget is None:
            return {}
        spent = {"epsilon": round(self._ledger.epsilon(budget.delta), 3), "delta": budget.delta}
        if (own := budget.studies.get(study)) is None:
            return spent
        of_study = {"epsilon": round(self._ledger.epsilon(own.delta, study), 3), "delta": own.delta}
        return {**spent, "study": {"name": study, **of_study}}

    def _described(self, data: Mapping[str, Any], fl_ctx: FLContext) -> DXO:
        if fl_ctx.get_prop(FLContextKey.TASK_NAME) == StatisticsConstants.FED_STATS_PRE_RUN:
            return DXO(DataKind.STATISTICS, {})
        step = data.get(StatisticsConstants.STATISTICS_TASK_KEY)
        if step not in _STEPS:
            raise RefusedError(Refusal.STATISTICS)
        claimed = _claimed(data.get(step))
        files = self._own(self._announced(fl_ctx))
        own = self._statistics or OwnStatistics(files, StatisticsLimits(), self._released_before, self._keep)
        self._statistics = own
        try:
            counted = own.counted(claimed, fl_ctx.get_prop(_MIDDLES) or {})
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.logger.error(f"the ledger of what was released is damaged: {error}")
            raise RefusedError(Refusal.LEDGER) from error
        meta = {_DESCRIBED: count(counted)}
        released = {
            StatisticsConstants.STATISTICS_TASK_KEY: step,
            step: fobs.dumps(_in_nvflares_form(counted)),
        }
        if step == StatisticsConstants.STATS_1st_STATISTICS:
            released[StatisticsConstants.STATS_FEATURES] = fobs.dumps(
                {
                    data_set: [Feature(name, DataType.FLOAT) for name in names]
                    for data_set, names in own.features().items()
                }
            )
        return DXO(DataKind.STATISTICS, released, meta)


def _task(fl_ctx: FLContext) -> dict[str, Any]:
    current = fl_ctx.get_prop(_ROUND)
    return {
        "task": fl_ctx.get_prop(FLContextKey.TASK_NAME),
        "round": current if isinstance(current, int) else None,
    }


def _model(shareable: Shareable) -> Model | None:
    try:
        model = from_shareable(shareable)
    except ValueError:
        return None
    if model.data_kind != DataKind.WEIGHTS or not model.data:
        return None
    arrays = {name: np.asarray(value) for name, value in model.data.items()}
    return arrays if all(array.dtype.kind in "fiu" for array in arrays.values()) else None


def _middles(shareable: Shareable) -> Middles:
    means = shareable.get(StatisticsConstants.STATS_GLOBAL_MEAN) or {}
    counts = shareable.get(StatisticsConstants.STATS_GLOBAL_COUNT) or {}
    return {
        (data_set, feature): (mean, counts.get(data_set, {}).get(feature, 0))
        for data_set, features in means.items()
        for feature, mean in features.items()
    }


def _refused(error: RefusedError) -> Shareable:
    answer, refusal = Shareable(), error.refusal
    # The statistics controller knows NVFlare's return codes alone; the others show what they get.
    known = refusal in (
        Refusal.ANSWERS,
        Refusal.STATISTICS,
        Refusal.LEDGER,
        Refusal.POLICY,
        Refusal.RETURN_CODE,
    )
    answer.set_return_code(ReturnCode.TASK_RESULT_FILTER_ERROR if known else refusal.value)
    answer.set_header(REFUSAL_HEADER, str(error))
    return answer


def _claimed(content: Any) -> Statistics:
    """What the job claims, checked to be dictionaries of three levels; histograms as cells."""
    try:
        claimed = fobs.loads(content)
        return {
            str(statistic): {
                str(data_set): {str(name): _claim(value) for name, value in features.items()}
                for data_set, features in data_sets.items()
            }
            for statistic, data_sets in claimed.items()
        }
    except Exception as error:  # fobs raises whatever the bytes make it raise
        raise RefusedError(Refusal.STATISTICS) from error


def _claim(value: Any) -> Any:
    if not isinstance(value, Histogram):
        return value
    return [(float(cell.low_value), float(cell.high_value), 0) for cell in value.bins]


def _in_nvflares_form(counted: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
    for features in counted.get(StatisticsConstants.STATS_HISTOGRAM, {}).values():
        for name, cells in features.items():
            features[name] = Histogram(HistogramType.STANDARD, [Bin(*cell) for cell in cells])
    return counted
