"""The centre's side of a trial: rounds, each answer judged and combined as at the server."""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np
from fed_server import combining
from fed_server.answers import AIRLOCK, Answer, AnswerRefusedError, error_text
from fed_server.contribution import summed
from fed_server.cross_site import FEDERATION
from fed_server.gates import judge
from fed_server.model import Arrays, load
from fed_server.plan import CROSS_SITE, CYCLIC, START, SUM, Plan
from fed_server.reports import report_of
from fed_server.rounds import judged, read_metrics
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants

from fed_trial.hospital import Hospital

Event = Mapping[str, Any]


class StoppedError(RuntimeError):
    """Too few answers counted: the job would have failed."""


@final
class Centre:
    """Leads the rounds of one job."""

    def __init__(self, plan: Plan, model: Arrays, hospitals: Sequence[Hospital]):
        self._plan = plan
        self._model = model
        self._hospitals = hospitals
        self._own: dict[str, Arrays] = {}
        """Hospital -> its own model after the last round, as the workflow cross-site has it."""

    def run(self) -> Iterator[Event]:
        """Yield what happens. Raises StoppedError."""
        rounds = range(self._plan.rounds + int(self._plan.measuring_round))
        for number in rounds:
            yield from self._relay(number) if self._plan.workflow == CYCLIC else self._round(number)
        if self._plan.workflow == CROSS_SITE:
            yield from self._measured_everywhere()

    def _round(self, number: int) -> Iterator[Event]:
        with ThreadPoolExecutor() as pool:
            replies = list(pool.map(lambda one: self._reply("train", one, number), self._hospitals))
        answers: dict[str, Answer] = {}
        for hospital, reply in zip(self._hospitals, replies, strict=True):
            event, answer = self._heard(hospital, reply, number)
            yield event
            if answer:
                answers[hospital.name] = answer
        self._check(answers, number)
        self._own = {site: _added(self._model, answer.update) for site, answer in answers.items()}
        if number != self._plan.measuring:
            self._model = self._combined(answers)
        yield from self._summary(answers, number)

    def _relay(self, number: int) -> Iterator[Event]:
        answers: dict[str, Answer] = {}
        for hospital in self._hospitals:
            event, answer = self._heard(hospital, self._reply("train", hospital, number), number)
            yield event
            if answer:
                answers[hospital.name] = answer
                self._model = _added(self._model, answer.update)
        self._check(answers, number)
        yield from self._summary(answers, number)

    def _measured_everywhere(self) -> Iterator[Event]:
        for name, model in {FEDERATION: self._model, **self._own}.items():
            for hospital in self._hospitals:
                reply = hospital.answer("validate", _task(model, self._plan.rounds, self._plan.rounds))
                try:
                    found = dict(read_metrics(reply))
                except AnswerRefusedError as error:
                    yield {"hospital": hospital.name, "dropped": str(error)}
                else:
                    yield {"hospital": hospital.name, "model_of": name, "metrics": found}

    def _reply(self, task: str, hospital: Hospital, number: int) -> Shareable:
        return hospital.answer(task, _task(self._model, number, self._plan.rounds))

    def _heard(self, hospital: Hospital, reply: Shareable, number: int) -> tuple[Event, Answer | None]:
        event: dict[str, Any] = {"round": number, "hospital": hospital.name}
        try:
            _check_code(reply)
            answer = judged(reply, self._model, self._plan, hospital.patients)
        except AnswerRefusedError as error:
            return {**event, "dropped": str(error), "said": hospital.last_words()}, None
        return {**event, "left": hospital.noted(), "made": hospital.length, "length": _length(answer)}, answer

    def _combined(self, answers: Mapping[str, Answer]) -> Arrays:
        rows = {one.name: float(one.patients) for one in self._hospitals}
        if self._plan.workflow == SUM:
            return _typed(combining.total(answers, rows), self._model)
        combine = combining.method(self._plan.aggregation, self._plan.longest)
        return _added(self._model, combine(answers, rows))

    def _check(self, answers: Mapping[str, Answer], number: int) -> None:
        needed = self._plan.minimum_sites
        if len(answers) < needed:
            raise StoppedError(
                f"round {number}: {len(answers)} of {needed} hospitals needed gave a usable answer"
            )

    def _summary(self, answers: Mapping[str, Answer], number: int) -> Iterator[Event]:
        sent = {site: answer.sent for site, answer in answers.items()}
        found = report_of(self._plan).summarise(sent)
        counted = (
            {} if self._plan.report else summed(sent, self._plan.histograms)
        )  # else metrics are made of them
        yield {"round": number, "federation": found, "histograms": counted}
        last = self._plan.rounds - 1 + int(self._plan.measuring_round)
        if number == last and self._plan.gates:
            hospitals = {site: dict(one.metrics) for site, one in sent.items()}
            verdicts = judge(self._plan.gates, found, hospitals)
            yield {"gates": [[verdict.passed, verdict.text] for verdict in verdicts]}


def start_of(plan: Plan, folder: Path) -> Arrays:
    """The model to start from, as the server reads it from a job's folder."""
    file = folder / START
    if file.is_file():
        return load(file)
    return {name: np.zeros(shape) for name, shape in plan.arrays.items()}


def _task(model: Arrays, number: int, rounds: int) -> Shareable:
    sent: Shareable = DXO(DataKind.WEIGHTS, dict(model)).to_shareable()
    sent.set_header(AppConstants.CURRENT_ROUND, number)
    sent.set_header(AppConstants.NUM_ROUNDS, rounds)
    return sent


def _added(model: Arrays, update: Mapping[str, Any]) -> Arrays:
    return _typed({name: model[name] + array for name, array in update.items()}, model)


def _typed(found: Mapping[str, Any], model: Arrays) -> Arrays:
    return {name: np.asarray(array).astype(model[name].dtype) for name, array in found.items()}


def _length(answer: Answer) -> float:
    return math.sqrt(sum(float((array**2).sum()) for array in answer.update.values()))


def _check_code(reply: Shareable) -> None:
    """As the server's aggregator. Raises AnswerRefusedError."""
    code = reply.get_return_code()
    if code and code != ReturnCode.OK:
        raise AnswerRefusedError(error_text(code, reply.get_header(AIRLOCK)))
