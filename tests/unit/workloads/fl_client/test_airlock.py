"""The airlock of a hospital: what a job may send to the centre, and that nothing else leaves.

NVFlare's kinds of data are those of the installed NVFlare 2.9.0 (`nvflare.apis.dxo.DataKind`).
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from container_server import local_config
from container_server.hospital.airlock_policy import AirlockPolicy
from fed_site import door
from fed_site.airlock import Limits, Refusal, RefusedError, difference, length, metrics, rounded
from fed_site.box_answer import ENDED, FORM, LATE, NO_BOX, BoxError
from fed_site.filters import (
    DATA_SHA256,
    ERROR_HEADER,
    HISTOGRAMS_KEY,
    PATIENT_CHANGE,
    REFUSAL_HEADER,
    Airlock,
    SentModel,
)
from fed_site.manifest import Manifest, shape_in_words
from fed_site.notes import MOST_BYTES, Notes, NotesFullError
from fed_site.own_policy import OwnPolicy
from fed_site.patients import OwnFiles
from fed_site.privacy import LARGEST_EPSILON, Budget, epsilon
from hypothesis import given
from hypothesis import strategies as st
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import AdminCommandNames, FLContextKey, ReservedTopic, ReturnCode
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.statistics_spec import Bin, Histogram, HistogramType
from nvflare.app_common.app_constant import AppConstants, StatisticsConstants
from nvflare.fuel.utils import fobs
from nvflare.private.fed.client.admin_commands import AdminCommands

from tests.unit.support.job_archives import manifest_content
from tests.unit.support.ledgers_of_tests import at_once
from tests.unit.support.workloads_fakes import FolderStore
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

PATIENTS = 40
ROWS = [f"{30 + number},{number % 2},{'' if number < 3 else 200 + number}" for number in range(PATIENTS)]
TEXT = "\n".join(ROWS)
ONE_PATIENT = [1.0, *[0.0] * (PATIENTS - 1)]
FIRST, SECOND = StatisticsConstants.STATS_1st_STATISTICS, StatisticsConstants.STATS_2nd_STATISTICS
CHANGE = {"w": np.array([0.1, -0.2, 0.3])}
STATED = {MetaKey.NUM_STEPS_CURRENT_ROUND: PATIENTS}


MANIFEST = Manifest(
    name="cohort",
    title="",
    purpose="",
    author="",
    data={},
    model={"w": "3"},
    metrics=("auc",),
    histograms=dict.fromkeys(("a", "ill", TEXT, *(f"h{number}" for number in range(5)))),
    statistics=(),
    rounds=1,
    answers=100,
    minimum_sites=1,
    workflow="averaging",
)


@pytest.fixture
def files(tmp_path: Path) -> OwnFiles:
    (tmp_path / "heart.csv").write_text("age,sex,chol\n" + TEXT + "\n")
    return OwnFiles(tmp_path)


@pytest.fixture
def airlock(files: OwnFiles, tmp_path: Path) -> Airlock:
    return made(files, tmp_path)


def made(files: OwnFiles, folder: Path, manifest: Manifest | None = None, **policy: Any) -> Airlock:
    """An airlock whose hospital has that policy."""
    (folder / "airlock.json").write_text(json.dumps(policy))
    notes = Notes(folder / "releases")
    return Airlock(
        files, notes, folder, policy=folder / "airlock.json", manifest=manifest or MANIFEST, keep=at_once
    )


def spent(airlock: Airlock) -> dict[str, Any]:
    return airlock.spent(FLContextManager(job_id="1").new_context())


def norm(model: Mapping[str, Any]) -> float:
    """The L2 norm over all numbers."""
    return length(np.concatenate([np.ravel(value) for value in model.values()]).astype(float))


def answered(
    airlock: Airlock,
    answer: Shareable,
    sent: Mapping[str, Any] | None = None,
    task: str = "train",
    announced: Mapping[str, str] | None = None,
) -> Shareable:
    """What leaves of an answer, after a task that brought the model `sent`, which the manifest announced
    unless it `announced` another.
    """
    context = FLContext()
    context.set_prop(FLContextKey.TASK_NAME, task)
    model = dict(sent if sent is not None else {"w": np.zeros(3)})
    announce(airlock, shapes(model) if announced is None else announced)
    given = DXO(DataKind.WEIGHTS, model).to_shareable()
    SentModel().process(given, context)
    left: Shareable = airlock.process(answer, context)
    return left


def shapes(model: Mapping[str, Any]) -> dict[str, str]:
    """Array -> shape, as a manifest has it."""
    return {name: shape_in_words(np.shape(array)) for name, array in model.items()}


def announce(airlock: Airlock, model: Mapping[str, str]) -> None:
    """Have the manifest of an airlock's job announce that model."""
    airlock._manifest = replace(airlock._manifest or MANIFEST, model=model)


def update(data: Mapping[str, Any] | None = None, meta: Mapping[str, Any] | None = None) -> Shareable:
    """A usual answer: a difference of weights and the number of patients."""
    answer: Shareable = DXO(
        DataKind.WEIGHT_DIFF, dict(data or CHANGE), {**STATED, **(meta or {})}
    ).to_shareable()
    return answer


def refusal_of(left: Shareable) -> str:
    """Its sentence; nothing else may be in it."""
    assert set(left) == {"__headers__"}
    assert set(left["__headers__"]) == {"__rc__", REFUSAL_HEADER}
    assert left.get_return_code() != ReturnCode.OK
    return str(left.get_header(REFUSAL_HEADER))


def words(value: Any) -> Iterator[str]:
    """Every text in something, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield from words(fobs.loads(value))
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from (*words(key), *words(entry))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from words(entry)


class TestKinds:
    @pytest.mark.parametrize("kind", [*DataKind, "INVENTED"])
    def test_rows_leave_in_no_kind_of_data(self, airlock: Airlock, kind: str) -> None:
        left = answered(airlock, DXO(kind, {"rows": ROWS, "x": TEXT}, {**STATED, "x": TEXT}).to_shareable())
        assert not [word for word in words(left) if ROWS[0] in word]
        if kind != DataKind.METRICS:
            assert refusal_of(left) in {refusal.value for refusal in Refusal}
        else:
            assert from_shareable(left).data == {}

    @pytest.mark.parametrize(
        "kind", [kind for kind in DataKind if kind.value not in ("METRICS", "STATISTICS")]
    )
    def test_nothing_leaves_with_empty_data(self, airlock: Airlock, kind: str) -> None:
        assert refusal_of(answered(airlock, DXO(kind, {}, {"rows": TEXT}).to_shareable()))

    def test_an_answer_that_is_no_dxo_stays(self, airlock: Airlock) -> None:
        assert refusal_of(answered(airlock, Shareable({"rows": ROWS}))) == Refusal.NO_DXO.value

    @pytest.mark.parametrize("code", [ReturnCode.EXECUTION_EXCEPTION, TEXT])
    def test_a_return_code_carries_nothing(self, airlock: Airlock, code: str) -> None:
        answer = update()
        answer.set_return_code(code)
        answer["rows"] = ROWS
        left = answered(airlock, answer)
        assert refusal_of(left) == Refusal.RETURN_CODE.value
        assert TEXT not in words(left)


class TestWholeWeights:
    """Scripts that send all parameters (`ParamsType.FULL`, the default of NVFlare's Client API)."""

    SENT: ClassVar = {"w": np.array([1.0, 2.0, 3.0], dtype=np.float32), "n": np.array([7])}

    def answer(self, data: Mapping[str, Any]) -> Shareable:
        whole: Shareable = DXO(DataKind.WEIGHTS, dict(data), dict(STATED)).to_shareable()
        return whole

    def test_leave_as_the_difference_to_the_model_that_was_sent(self, airlock: Airlock) -> None:
        trained = {"w": self.SENT["w"] + np.float32(0.123456), "n": np.array([7])}
        left = from_shareable(answered(airlock, self.answer(trained), sent=self.SENT))
        assert left.data_kind == DataKind.WEIGHT_DIFF
        assert left.data["w"] == pytest.approx([0.123] * 3)
        assert list(left.data["n"]) == [0.0]

    def test_by_the_same_rules(self, airlock: Airlock) -> None:
        whole = answered(airlock, self.answer({"w": np.array([5.0, 2.0, 3.0]), "n": [7]}), sent=self.SENT)
        assert refusal_of(whole) == Refusal.NOT_NUMBERS.value
        far = self.answer({"w": self.SENT["w"] + 1e6, "n": np.array([7])})
        assert norm(from_shareable(answered(airlock, far, sent=self.SENT)).data) <= 1.005
        assert refusal_of(answered(airlock, self.answer(CHANGE), sent={"v": np.zeros(3)})) == (
            Refusal.OTHER_MODEL.value
        )
        ends = self.answer({"w": np.array([1.7e308])})
        assert refusal_of(answered(airlock, ends, sent={"w": np.array([-1.7e308])})) == (
            Refusal.NOT_FINITE.value
        )

    @pytest.mark.parametrize("sent", [{}, {"w": np.array(["a", "b", "c"])}])
    def test_stay_without_a_model_that_was_sent(self, airlock: Airlock, sent: Mapping[str, Any]) -> None:
        left = answered(airlock, self.answer(CHANGE), sent=sent)
        assert refusal_of(left) == Refusal.WHOLE_WEIGHTS.value


class TestAroundAnUpdate:
    def test_keys_headers_and_texts_are_left_out(self, airlock: Airlock) -> None:
        answer = update(meta={"note": TEXT, "more": [TEXT], MetaKey.FILTER_HISTORY: [TEXT]})
        answer["extra"] = ROWS
        answer.set_header("x", TEXT)
        left = answered(airlock, answer)
        assert set(left) == {"__headers__", "DXO"}
        assert left["__headers__"] == {"__content_type__": "DXO"}
        assert set(from_shareable(left).meta) == {
            DATA_SHA256,
            MetaKey.NUM_STEPS_CURRENT_ROUND,
            MetaKey.INITIAL_METRICS,
        }

    def test_checksum_of_the_data_is_the_hospitals_not_the_jobs(
        self, airlock: Airlock, files: OwnFiles
    ) -> None:
        left = answered(airlock, update(meta={DATA_SHA256: TEXT}))
        assert from_shareable(left).meta[DATA_SHA256] == files.sha256

    @pytest.mark.parametrize("stated", [PATIENTS + 1, 10**12, 1e300])
    def test_a_job_counts_no_more_patients_than_there_are(self, airlock: Airlock, stated: float) -> None:
        meta = from_shareable(answered(airlock, update(meta={MetaKey.NUM_STEPS_CURRENT_ROUND: stated}))).meta
        assert meta[MetaKey.NUM_STEPS_CURRENT_ROUND] == PATIENTS

    @pytest.mark.parametrize("stated", [-1, 0, 0.5, float("nan"), "many", True, [40]])
    def test_a_number_of_patients_that_is_none_is_refused(self, airlock: Airlock, stated: Any) -> None:
        left = answered(airlock, update(meta={MetaKey.NUM_STEPS_CURRENT_ROUND: stated}))
        assert refusal_of(left) == Refusal.STATED_PATIENTS.value

    def test_the_data_are_read_once_a_run(self, airlock: Airlock, tmp_path: Path) -> None:
        """They may be larger than memory, and a box sees those of its start to its end."""
        first = from_shareable(answered(airlock, update()))
        (tmp_path / "heart.csv").write_text("age\n1\n")
        assert from_shareable(answered(airlock, update())).meta == first.meta

    def test_without_rows_to_count_no_difference_leaves(self, tmp_path: Path) -> None:
        assert refusal_of(answered(made(OwnFiles(tmp_path), tmp_path), update())) == Refusal.NO_PATIENTS.value

    def test_patients_are_those_of_the_files_that_the_manifest_names(
        self, files: OwnFiles, tmp_path: Path
    ) -> None:
        (tmp_path / "more.csv").write_text("age\n" + "50\n" * 5000)
        airlock = made(files, tmp_path, manifest=replace(MANIFEST, data={"heart.csv": ("age",)}))
        meta = from_shareable(answered(airlock, update(meta={MetaKey.NUM_STEPS_CURRENT_ROUND: 10**6}))).meta
        assert meta[MetaKey.NUM_STEPS_CURRENT_ROUND] == PATIENTS
        assert meta[DATA_SHA256] == hashlib.sha256((tmp_path / "heart.csv").read_bytes()).hexdigest()


class TestDifference:
    @pytest.mark.parametrize(
        "data",
        [
            {"v": np.zeros(3)},
            {"w": np.zeros(4)},
            {"w": np.zeros((3, 1))},
            {"w": np.zeros(3), "v": np.zeros(1)},
            {TEXT: np.zeros(3)},
        ],
    )
    def test_other_names_or_shapes_than_the_models_are_refused(
        self, airlock: Airlock, data: dict[str, Any]
    ) -> None:
        assert refusal_of(answered(airlock, update(data))) == Refusal.OTHER_MODEL.value

    @pytest.mark.parametrize("announced", [{"w": "3"}, {"w": "scalar"}, {"v": "1000"}, {}])
    @pytest.mark.parametrize("sent", [{"w": np.ones(1000)}, {}])
    def test_no_more_leaves_than_the_manifest_announces_whatever_the_centre_sends(
        self, airlock: Airlock, sent: dict[str, Any], announced: dict[str, str]
    ) -> None:
        """Officers approved three numbers a round; the server's configuration is in no checksum."""
        left = answered(airlock, update({"w": np.ones(1000)}), sent, announced=announced)
        assert refusal_of(left) == Refusal.UNANNOUNCED.value

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
    def test_not_finite(self, airlock: Airlock, number: float) -> None:
        left = answered(airlock, update({"w": np.array([0.0, 1.0, number])}))
        assert refusal_of(left) == Refusal.NOT_FINITE.value

    @pytest.mark.parametrize(
        "value", [TEXT, ROWS, np.array(ROWS), np.array([{"a": 1}] * 3), np.array([1j] * 3), True]
    )
    def test_not_numbers(self, airlock: Airlock, value: Any) -> None:
        assert refusal_of(answered(airlock, update({"w": value}))) == Refusal.NOT_NUMBERS.value

    @pytest.mark.parametrize("array", [np.array(1e6), np.array([1e6, -1e9, 1e300]), np.float32(1e38)])
    @pytest.mark.parametrize("stated", [1, PATIENTS, 10**12])
    def test_no_longer_than_the_hospital_allows(self, airlock: Airlock, array: Any, stated: int) -> None:
        answer = update({"w": array}, {MetaKey.NUM_STEPS_CURRENT_ROUND: stated})
        left = from_shareable(answered(airlock, answer, sent={"w": np.zeros(np.shape(array))})).data
        assert norm(left) == pytest.approx(Limits().longest, rel=0.005)

    def test_order_and_types_of_its_arrays_are_those_of_the_model_that_was_sent(
        self, airlock: Airlock
    ) -> None:
        sent = {"b": np.zeros(1, np.float32), "a": np.zeros(1, int), "c": np.zeros(1)}
        told = {"c": np.ones(1, np.float16), "a": np.ones(1, np.float32), "b": np.ones(1)}
        left = from_shareable(answered(airlock, update(told), sent)).data
        assert [(name, array.dtype.name) for name, array in left.items()] == [
            ("b", "float32"),
            ("a", "float64"),
            ("c", "float64"),
        ]

    def test_its_direction_stays(self) -> None:
        left = difference({"a": np.array([30.0, 0.0]), "b": np.array([[-40.0]])}, None, Limits())
        assert list(left["a"]) == [0.6, 0.0]
        assert left["b"].tolist() == [[-0.8]]

    def test_numbers_carry_three_digits(self, airlock: Airlock) -> None:
        left = from_shareable(answered(airlock, update({"w": np.array([0.123456789, -0.000123456, 1e-9])})))
        assert left.data["w"] == pytest.approx([0.123, -0.000123, 0.0], abs=0, rel=1e-12)

    def test_a_number_carries_fourteen_bits_at_most(self) -> None:
        """What an answer can still hide: the values that a number can leave with, counted by trying."""
        limits = Limits(smallest_share=0.0)
        tried = np.concatenate([np.geomspace(limits.floor, limits.longest, 200_000), [0.0]])
        left = {float(difference({"w": np.array([each])}, None, limits)["w"][0]) for each in tried[::400]}
        values = 1 + 2 * len(set(rounded(tried[:-1], limits.digits)))
        assert left <= {0.0, *rounded(tried[:-1], limits.digits)}
        assert 13 < np.log2(values) < 14

    def test_the_smallest_tenth_becomes_nothing(self) -> None:
        numbers = np.arange(1.0, 21.0) / 100
        left = difference({"w": numbers}, {"w": np.zeros(20)}, Limits())["w"]
        assert list(left[:2]) == [0.0, 0.0]
        assert left[2:] == pytest.approx(numbers[2:])

    def test_a_model_that_was_not_seen_is_bounded(self, airlock: Airlock) -> None:
        def left(data: dict[str, Any]) -> Shareable:
            context = FLContext()
            SentModel().process(Shareable(), context)
            announce(airlock, shapes(data))
            released: Shareable = airlock.process(update(data), context)
            return released

        assert set(from_shareable(left({"a": np.ones(2), "b": np.ones(3)})).data) == {"a", "b"}
        assert (
            refusal_of(left({f"p{number}": np.ones(1) for number in range(101)})) == Refusal.TOO_LARGE.value
        )
        assert refusal_of(left({"w": np.ones(1_000_001)})) == Refusal.TOO_LARGE.value
        assert refusal_of(left({TEXT: np.ones(1)})) == Refusal.OTHER_MODEL.value

    @given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30))
    def test_what_leaves_is_finite_bounded_and_leaves_again_unchanged(self, numbers: list[float]) -> None:
        sent = {"w": np.zeros(len(numbers))}
        once = difference({"w": np.array(numbers)}, sent, Limits())
        assert np.isfinite(once["w"]).all()
        assert norm(once) <= 1.005 * Limits().longest
        again = difference(once, sent, Limits(smallest_share=0))["w"]
        assert again == pytest.approx(once["w"], rel=0.01)


class TestOwnPolicy:
    """What the hospital's officers decide about their airlock."""

    BUDGET: ClassVar = {"epsilon": 8.0, "delta": 1e-5, "answers": 3}

    def test_the_bound_on_the_length(self, files: OwnFiles, tmp_path: Path) -> None:
        airlock = made(files, tmp_path, longest=0.5)
        left = from_shareable(answered(airlock, update({"w": np.array([30.0, 40.0, 0.0])})))
        assert left.data["w"] == pytest.approx([0.3, 0.4, 0.0])

    @pytest.mark.parametrize("content", [None, "", "[]", '{"longest": "x"}', '{"privacy": {"epsilon": 1}}'])
    def test_without_one_that_can_be_read_nothing_leaves(
        self, files: OwnFiles, tmp_path: Path, content: str | None
    ) -> None:
        airlock = made(files, tmp_path)
        (tmp_path / "airlock.json").unlink()
        if content is not None:
            (tmp_path / "airlock.json").write_text(content)
        for answer in (update(), DXO(DataKind.METRICS, {"auc": 0.5}).to_shareable()):
            assert airlock.process(answer, FLContext()).get_header(REFUSAL_HEADER) == Refusal.POLICY.value

    def test_noise_until_the_budget_is_spent_whatever_job_asks(self, files: OwnFiles, tmp_path: Path) -> None:
        airlock = made(files, tmp_path, longest=0.5, privacy=self.BUDGET)
        sent = {"w": np.zeros(4000)}
        for _ in range(3):
            left = from_shareable(answered(airlock, update(sent), sent))
            assert np.std(left.data["w"]) == pytest.approx(Budget(**self.BUDGET).deviation(0.5), rel=0.1)
        again = made(files, tmp_path, longest=0.5, privacy=self.BUDGET)  # another job, another process
        assert refusal_of(answered(again, update(sent), sent)) == Refusal.SPENT.value
        more = made(files, tmp_path, longest=0.5, privacy={**self.BUDGET, "epsilon": 20.0})
        assert from_shareable(answered(more, update(sent), sent))

    @pytest.mark.parametrize(
        ("unit", "stated", "change"),
        [
            ("patient", 0.07, 0.07),
            ("hospital", 0.07, 1.0),
            ("patient", 5.0, 1.0),
            *[("patient", stated, 1.0) for stated in (None, 0, -1.0, float("nan"), "little", True)],
        ],
    )
    def test_a_patients_change_counts_where_the_hospital_says_so_and_the_job_states_one(
        self, files: OwnFiles, tmp_path: Path, unit: str, stated: Any, change: float
    ) -> None:
        budget = {**self.BUDGET, "unit": unit}
        airlock = made(files, tmp_path, longest=0.5, privacy=budget)
        sent = {"w": np.zeros(4000)}
        left = from_shareable(answered(airlock, update(sent, {PATIENT_CHANGE: stated}), sent))
        deviation = change / math.sqrt(Budget(**budget).share)
        assert np.std(left.data["w"]) == pytest.approx(deviation, rel=0.1)
        assert PATIENT_CHANGE not in left.meta

    def test_neither_the_bound_nor_what_comes_before_the_noise_pulls_two_patients_apart(self) -> None:
        """Else a stated change would not hold after them: a projection does not, leaving out the smallest
        would, so that comes after the noise.
        """
        random = np.random.default_rng(7)
        limits = Limits(longest=0.5, floor=0.0, digits=15)
        for _ in range(200):
            one = random.normal(0, 1, 20)
            other = one + random.normal(0, 0.1, 20)
            seen: list[Any] = []
            for update in (one, other):
                left = difference({"w": update}, None, replace(limits, smallest_share=0.0))["w"]
                sent = {"w": np.zeros(20)}
                noisy = difference({"w": update}, sent, limits, noise=lambda size: np.full(size, 10.0))["w"]
                assert noisy[noisy != 0] - 10 == pytest.approx(left[noisy != 0], abs=1e-9)
                seen.append(left)
            assert length(seen[0] - seen[1]) <= length(one - other) + 1e-9

    def test_noise_is_for_models_that_were_sent_alone(self, files: OwnFiles, tmp_path: Path) -> None:
        """Of another one the job would choose names and shapes, which no noise covers."""
        airlock = made(files, tmp_path, privacy=self.BUDGET)
        assert refusal_of(answered(airlock, update(), sent={})) == Refusal.NOISE.value

    def test_an_answer_that_stays_costs_nothing(self, files: OwnFiles, tmp_path: Path) -> None:
        airlock = made(files, tmp_path, privacy=self.BUDGET)
        for _ in range(5):
            assert refusal_of(answered(airlock, update({"v": np.zeros(3)}))) == Refusal.OTHER_MODEL.value
            counts = update(meta={HISTOGRAMS_KEY: {"ill": ["x"]}})
            assert refusal_of(answered(airlock, counts)) == Refusal.HISTOGRAMS.value
        assert spent(airlock)["epsilon"] == 0
        assert from_shareable(answered(airlock, update()))

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"spent": -1, "answers": 0}', '{"spent": NaN}'])
    def test_with_a_damaged_ledger_no_difference_leaves(
        self, files: OwnFiles, tmp_path: Path, content: str
    ) -> None:
        airlock = made(files, tmp_path, privacy=self.BUDGET)
        (tmp_path / "budget.json").write_text(content)
        left = answered(airlock, update())
        assert left.get_header(REFUSAL_HEADER) == Refusal.LEDGER.value

    def test_what_is_spent_is_noted_with_each_answer(self, files: OwnFiles, tmp_path: Path) -> None:
        airlock = made(files, tmp_path, privacy=self.BUDGET)
        for answers in (1, 2, 3):
            answered(airlock, update())
            whole = math.sqrt(Budget(**self.BUDGET).whole * answers / 3)
            assert spent(airlock) == {
                "epsilon": round(epsilon(whole, 1e-5), 3),
                "delta": 1e-5,
            }
        assert spent(airlock)["epsilon"] == 8.0


class TestAnswers:
    def test_no_more_leave_than_the_manifest_announces_and_that_is_noted(
        self, files: OwnFiles, tmp_path: Path
    ) -> None:
        """Nothing at the hospital bounded a run: a centre could ask for the same round again and again."""
        (tmp_path / "airlock.json").write_text("{}")
        notes = Notes(tmp_path / "releases")
        said = replace(MANIFEST, answers=2)
        airlock = Airlock(
            files, notes, tmp_path, policy=tmp_path / "airlock.json", manifest=said, keep=at_once
        )
        assert answered(airlock, update()).get_return_code() == ReturnCode.OK
        assert answered(airlock, update()).get_return_code() == ReturnCode.OK
        for answer in (update(), DXO(DataKind.METRICS, {"auc": 0.5}).to_shareable()):
            assert refusal_of(answered(airlock, answer)) == Refusal.ANSWERS.value

    def test_one_that_stays_counts_as_well(self, files: OwnFiles, tmp_path: Path) -> None:
        """Which of a dozen sentences says why is the code's choice: without a bound, and free of any budget,
        patients could leave in these.
        """
        airlock = made(files, tmp_path, replace(MANIFEST, answers=2))
        failed = Shareable()
        failed.set_return_code(ReturnCode.EXECUTION_EXCEPTION)
        stays = DXO("APP_DEFINED", {"rows": TEXT}).to_shareable()
        left = [refusal_of(answered(airlock, one)) for one in (stays, failed, update(), failed)]
        assert left == [
            one.value for one in (Refusal.KIND, Refusal.RETURN_CODE, Refusal.ANSWERS, Refusal.ANSWERS)
        ]


class TestErrors:
    """What a job's author learns of an error of his own code."""

    ERROR: ClassVar = {"kind": "ValueError", "file": "heart_job/train.py", "line": 12}

    def told(self, files: OwnFiles, folder: Path, error: Any, **policy: Any) -> str:
        answer = Shareable({"rows": ROWS})
        answer.set_return_code(ReturnCode.EXECUTION_EXCEPTION)
        answer.set_header(ERROR_HEADER, error)
        return refusal_of(answered(made(files, folder, **policy), answer))

    def test_class_file_and_line_where_the_hospital_allows_it(self, files: OwnFiles, tmp_path: Path) -> None:
        where = f"{Refusal.RETURN_CODE.value} (ValueError at heart_job/train.py, line 12)"
        assert self.told(files, tmp_path, self.ERROR) == where
        assert self.told(files, tmp_path, self.ERROR, errors="nothing") == Refusal.RETURN_CODE.value

    def test_class_alone_where_the_place_is_not_in_his_code(self, files: OwnFiles, tmp_path: Path) -> None:
        for place in ({"file": None}, {"file": TEXT}, {"line": 10**9}, {"line": TEXT}, {"line": True}):
            assert "(ValueError)" in self.told(files, tmp_path, {**self.ERROR, **place})

    @pytest.mark.parametrize(
        "error", [LATE, ENDED, FORM, NO_BOX, BoxError(kind="KeyError", file="a.py", line=1)]
    )
    def test_whatever_the_box_may_say(self, files: OwnFiles, tmp_path: Path, error: BoxError) -> None:
        assert f" ({error}" in self.told(files, tmp_path, vars(error))

    @pytest.mark.parametrize(
        "error",
        [
            None,
            TEXT,
            ROWS,
            {"kind": TEXT},
            {"kind": "Row30x1x200"},
            {**ERROR, "kind": ROWS},
            {**ERROR, "kind": "Age63Error"},
        ],
    )
    def test_nothing_else(self, files: OwnFiles, tmp_path: Path, error: Any) -> None:
        assert self.told(files, tmp_path, error) == Refusal.RETURN_CODE.value


class House:
    """The officers' container, the folder that the client reads, and the record."""

    def __init__(self, folder: Path):
        self.officers = FolderStore(folder / "policy")
        self.answers = folder / "answers"
        self.noted: list[Any] = []
        self.memory = folder / "agent"
        self.bringing = self.restarted()

    def restarted(self) -> AirlockPolicy:
        return AirlockPolicy(
            self.officers, self.answers, self.memory, lambda *event: self.noted.append(event)
        )

    def write(self, **content: Any) -> None:
        self.officers.write("airlock.json", json.dumps({"schema": "fed/airlock/1", **content}).encode())
        self.bringing.step()

    def policy(self) -> OwnPolicy:
        """As the client reads it."""
        return OwnPolicy.read(self.answers / "airlock.json")


class TestOfficersFile:
    def test_without_one_the_defaults_hold(self, tmp_path: Path) -> None:
        house = House(tmp_path)
        with pytest.raises(RefusedError):
            house.policy()
        house.bringing.step()
        assert house.policy() == OwnPolicy()
        assert not house.noted

    def test_reaches_the_client_and_the_record(self, tmp_path: Path) -> None:
        house = House(tmp_path)
        privacy = {"epsilon": 10.0, "delta": 1e-5, "answers": 11, "unit": "patient"}
        house.write(longest=0.5, privacy=privacy, errors="nothing")
        house.bringing.step()
        assert house.policy() == OwnPolicy(longest=0.5, budget=Budget(**privacy), tells_errors=False)
        assert [content["policy"]["longest"] for _, content in house.noted] == [0.5]
        house.write()
        assert (house.policy(), len(house.noted)) == (OwnPolicy(), 2)

    @pytest.mark.parametrize("content", [{"longest": 0.5}, {"longest": "wrong"}])
    def test_that_is_gone_is_no_word_for_the_defaults(self, tmp_path: Path, content: dict[str, Any]) -> None:
        """Whoever can delete it could switch the noise off; also while the VM was off."""
        house = House(tmp_path)
        house.write(**content)
        house.officers.delete("airlock.json")
        for bringing in (house.bringing, house.restarted()):
            bringing.step()
            assert "nothing leaves until policy/airlock.json is back" in bringing.fault
            assert "Fix: upload it again" in bringing.fault
            with pytest.raises(RefusedError):
                house.policy()
        house.write()  # the defaults, by their own word
        assert (house.policy(), house.bringing.fault) == (OwnPolicy(), "")

    @pytest.mark.parametrize(
        "content",
        [
            {"longest": 0},
            {"longest": "1"},
            {"schema": "fed/airlock/2"},
            {"more": 1},
            {"privacy": {"epsilon": 8}},
            {"privacy": {"epsilon": 2 * LARGEST_EPSILON, "delta": 1e-5, "answers": 1}},
            {"privacy": {"epsilon": 1, "delta": 0.5, "answers": 1}},
            {"privacy": {"epsilon": 1, "delta": 1e-5, "answers": 0}},
            {"privacy": {"epsilon": 1, "delta": 1e-5, "answers": 1, "unit": "row"}},
        ],
    )
    def test_that_is_wrong_closes_the_airlock_and_is_named(
        self, tmp_path: Path, content: dict[str, Any]
    ) -> None:
        house = House(tmp_path)
        house.write()
        house.write(**content)
        with pytest.raises(RefusedError):
            house.policy()
        assert "nothing leaves until policy/airlock.json is right" in house.bringing.fault
        house.write(longest=2)
        assert (house.policy().longest, house.bringing.fault) == (2, "")


class TestHeart:
    """What the airlock costs the model of the demonstration, on the real data."""

    HOSPITALS = ("cleveland", "hungary", "va-long-beach")

    def test_less_than_five_thousandths_of_auc_and_brier_score(self) -> None:
        files = [model.read_patients(heart_data.seed(name).decode()) for name in self.HOSPITALS]
        scale = model.Scaling.of(model.join(files))
        own = [(model.design(file, scale), file) for file in files]
        sharp = self.measured(own, lambda update: update)
        through = self.measured(own, lambda update: difference({"w": update}, None, Limits())["w"])
        assert through == pytest.approx(sharp, abs=0.005)
        tight = self.measured(own, lambda update: difference({"w": update}, None, Limits(longest=0.05))["w"])
        assert tight["brier"] > sharp["brier"] + 0.005  # a bound that is too small shows

    def test_newtons_method_by_gradient_and_hessian_reaches_the_pooled_optimum(self) -> None:
        """Arrays that are no weights: a job sends them out with the model, and answers with their sums."""
        files = [model.read_patients(heart_data.seed(name).decode()) for name in self.HOSPITALS]
        scale = model.Scaling.of(model.join(files))
        own = [(model.design(file, scale)[~file.test], file.labels[~file.test]) for file in files]
        size = 1 + len(model.FEATURES)
        sent = np.zeros(2 * size + size**2)
        for _ in range(5):
            answers = [
                difference({"w": self.newton(*rows, sent)}, {"w": sent}, Limits(), whole=True)["w"]
                for rows in own
            ]
            sent = sent + np.average(answers, axis=0, weights=[len(labels) for _, labels in own])
        pooled = model.solve(
            np.vstack([rows for rows, _ in own]), np.concatenate([labels for _, labels in own])
        )
        assert sent[:size] == pytest.approx(pooled, abs=0.02)

    def newton(self, rows: Any, labels: Any, sent: Any) -> Any:
        """One hospital's answer: the weights after a step, and gradient and Hessian there, in tenths."""
        size = rows.shape[1]
        penalty = model.L2 * np.r_[0.0, np.ones(size - 1)]
        weights, gradient, hessian = np.split(sent, [size, 2 * size])
        if hessian.any():
            curvature = 10 * hessian.reshape(size, size) + np.diag(penalty + 1e-6)
            weights = weights - np.linalg.solve(curvature, 10 * gradient + penalty * weights)
        risk = model.predict(rows, weights)
        sums = rows.T @ (risk - labels), (rows.T * (risk * (1 - risk))) @ rows
        return np.r_[weights, sums[0] / (10 * len(labels)), sums[1].ravel() / (10 * len(labels))]

    def measured(self, own: list[Any], lock: Any) -> dict[str, float]:
        """Means over the hospitals after ten rounds in which updates pass `lock`."""
        weights = np.zeros(1 + len(model.FEATURES))
        for _ in range(10):
            updates = [
                lock(model.descend(design[~file.test], file.labels[~file.test], weights, 5) - weights)
                for design, file in own
            ]
            weights = weights + np.average(updates, axis=0, weights=[(~file.test).sum() for _, file in own])
        found = [
            model.evaluate(file.labels[file.test], model.predict(design[file.test], weights))
            for design, file in own
        ]
        return {name: float(np.mean([each[name] for each in found])) for name in ("auc", "brier")}


class TestMetrics:
    def test_one_bad_metric_costs_itself_alone(self) -> None:
        """A hospital whose test patients are all of one class has no AUC (FLamby, issue 81)."""
        given = {
            "auc": float("nan"),
            "huge": 1e300,
            "brier": 0.123456,
            "n_test": 60,
            "text": TEXT,
            TEXT: 1.0,
            "list": [1.0],
        }
        assert metrics(given, Limits()) == {"brier": 0.1235, "n_test": 60.0}

    def test_a_number_of_patients_is_not_rounded_up(self) -> None:
        given = {"n_test": 12_346, "n_train": 9_999, "less": -12_346}
        assert metrics(given, Limits()) == {"n_test": 12_340, "n_train": 9_999, "less": -12_340}

    def test_at_most_so_many(self) -> None:
        assert len(metrics({f"p{number}": 1.0 for number in range(300)}, Limits())) == Limits().metrics

    def test_those_that_a_manifest_names(self) -> None:
        assert metrics({"auc": 1.0, "brier": 0.5}, Limits(), frozenset({"auc"})) == {"auc": 1.0}

    @pytest.mark.parametrize("given", [None, TEXT, ROWS, 3.0])
    def test_anything_else_is_no_metrics(self, given: Any) -> None:
        assert metrics(given, Limits()) == {}

    @given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
    def test_a_metric_has_four_digits_and_is_no_finer_than_a_millionth(self, number: float) -> None:
        (kept,) = metrics({"a": number}, Limits()).values()
        assert kept == pytest.approx(number, rel=1e-3, abs=1e-6)
        assert float(f"{kept:.4g}") == pytest.approx(kept, rel=1e-12)
        assert round(kept, 6) == kept


class TestScoreHistograms:
    def test_small_cells_are_spread(self, airlock: Airlock) -> None:
        left = from_shareable(answered(airlock, update(meta={HISTOGRAMS_KEY: {"ill": [2, 3, 10]}})))
        assert left.meta[HISTOGRAMS_KEY] == {"ill": [2.5, 2.5, 10]}

    @pytest.mark.parametrize(
        "given",
        [
            TEXT,
            {TEXT: [1]},
            {"a": [0.5, 10.0]},
            {"a": [-1, 10]},
            {"a": [PATIENTS + 1]},
            {"a": [0] * 51},
            {f"h{number}": [0] for number in range(5)},
            {"a": ROWS},
        ],
    )
    def test_other_numbers_than_counts_of_patients_are_refused(self, airlock: Airlock, given: Any) -> None:
        left = answered(airlock, update(meta={HISTOGRAMS_KEY: given}))
        assert refusal_of(left) == Refusal.HISTOGRAMS.value

    def test_as_many_cells_as_the_manifest_says(self, airlock: Airlock) -> None:
        airlock._manifest = replace(MANIFEST, histograms={"ill": 3})
        for cells, leaves in (([5, 5, 10], True), ([10, 10], False), ([5, 5, 5, 5], False)):
            left = answered(airlock, update(meta={HISTOGRAMS_KEY: {"ill": cells}}))
            assert (left.get_return_code() == ReturnCode.OK) is leaves


class TestStatistics:
    """What a job claims about a feature leaves only as the hospital's own columns say it."""

    def test_of_columns_are_counted_by_the_hospital(self, airlock: Airlock) -> None:
        ages = [float(row.split(",")[0]) for row in ROWS]
        left = self._described(airlock, age=(PATIENTS, sum(ages)))
        assert left["count"] == {"patients": {"age": PATIENTS}}
        assert left["sum"]["patients"]["age"] == pytest.approx(sum(ages), abs=25)

    @pytest.mark.parametrize(
        ("feature", "values"),
        [
            ("p0", ONE_PATIENT),
            ("age", ONE_PATIENT),
            ("sex", [value - 1 for value in ONE_PATIENT]),
            ("age", [value + 1000 for value in ONE_PATIENT]),
            ("chol missing", ONE_PATIENT),
            (TEXT, ONE_PATIENT),
            ("age=30", ONE_PATIENT),
        ],
    )
    def test_an_indicator_of_one_patient_has_none(
        self, airlock: Airlock, feature: str, values: list[float]
    ) -> None:
        left = self._described(airlock, **{feature: (len(values), sum(values))})
        assert not left["count"]["patients"]
        assert not left["sum"]["patients"]

    def test_few_patients_on_one_side_are_withheld(self, airlock: Airlock) -> None:
        left = self._described(airlock, **{"chol missing": (PATIENTS, 3.0)})
        assert left["count"] == {"patients": {}}

    def test_numbers_that_a_job_hides_in_another_statistic_are_replaced(self, airlock: Airlock) -> None:
        self._described(airlock, age=(PATIENTS, sum(30.0 + number for number in range(PATIENTS))))
        left = self._answer(
            airlock,
            SECOND,
            {
                "count": {"patients": {"age": 12345}},
                "stddev": {"patients": {"age": 0.0574, "p0": 1.0}},
                "var": {"patients": {"age": 77.0}},
                "quantile": {"patients": {"age": {str(number): 30.0 + number for number in range(PATIENTS)}}},
                "failure_count": {"patients": {"age": 42}},
                "min": {"patients": {"age": 31.5}},
                "histogram": {
                    "patients": {"age": Histogram(HistogramType.STANDARD, [Bin(0, 100, 99999)] * 2)}
                },
            },
        )
        assert left["count"]["patients"]["age"] == PATIENTS
        assert left["stddev"]["patients"] == {"age": 11.7}
        assert left["failure_count"]["patients"]["age"] == 0
        assert left["min"]["patients"]["age"] == 30.0
        assert left["var"] == {"patients": {}}  # without the federation's mean, which the centre sends
        assert "quantile" not in left
        cells = left["histogram"]["patients"]["age"].bins
        assert [cell.sample_count for cell in cells] == [20, 20]

    def test_share_of_the_variance_is_around_the_mean_that_the_centre_sent(self, airlock: Airlock) -> None:
        ages = 30.0 + np.arange(PATIENTS)
        self._described(airlock, age=(PATIENTS, float(ages.sum())))
        context = FLContext()
        task = Shareable(
            {
                StatisticsConstants.STATS_GLOBAL_MEAN: {"patients": {"age": 50.0}},
                StatisticsConstants.STATS_GLOBAL_COUNT: {"patients": {"age": 101}},
            }
        )
        SentModel().process(task, context)
        data = {
            StatisticsConstants.STATISTICS_TASK_KEY: SECOND,
            SECOND: fobs.dumps({"var": {"patients": {"age": 77.0}}}),
        }
        left = from_shareable(airlock.process(DXO(DataKind.STATISTICS, data).to_shareable(), context))
        share = fobs.loads(left.data[SECOND])["var"]["patients"]["age"]
        assert share == pytest.approx(((ages - 50) ** 2).sum() / 100)

    def test_histogram_hides_small_cells_and_has_few(self, airlock: Airlock) -> None:
        self._described(airlock, age=(PATIENTS, sum(30.0 + number for number in range(PATIENTS))))

        def counts(cells: int) -> Any:
            claimed = Histogram(HistogramType.STANDARD, [Bin(0, 1, 1), *[Bin(31, 132, 39)] * (cells - 1)])
            left = self._answer(airlock, SECOND, {"histogram": {"patients": {"age": claimed}}})
            shown = left["histogram"]["patients"].get("age")
            return shown and [cell.sample_count for cell in shown.bins]

        assert counts(4) == [0, 33, 0, 0]  # three, 33 and four patients
        assert counts(5) is None

    @pytest.mark.parametrize("content", [b"", b"\x00", None, fobs.dumps(ROWS), fobs.dumps({"count": TEXT})])
    def test_content_of_another_form_is_refused(self, airlock: Airlock, content: Any) -> None:
        data = {StatisticsConstants.STATISTICS_TASK_KEY: FIRST, FIRST: content}
        left = answered(airlock, DXO(DataKind.STATISTICS, data).to_shareable(), task="fed_stats")
        assert refusal_of(left) == Refusal.STATISTICS.value

    def test_the_answer_to_the_first_question_is_empty(self, airlock: Airlock) -> None:
        answer = DXO(DataKind.STATISTICS, {"rows": ROWS}).to_shareable()
        left = answered(airlock, answer, task=StatisticsConstants.FED_STATS_PRE_RUN)
        assert from_shareable(left).data == {}

    def _described(self, airlock: Airlock, **features: tuple[int, float]) -> dict[str, Any]:
        counts = {name: count for name, (count, _) in features.items()}
        sums = {name: total for name, (_, total) in features.items()}
        return self._answer(airlock, FIRST, {"count": {"patients": counts}, "sum": {"patients": sums}})

    def _answer(self, airlock: Airlock, step: str, claimed: dict[str, Any]) -> dict[str, Any]:
        data = {
            StatisticsConstants.STATISTICS_TASK_KEY: step,
            step: fobs.dumps(claimed),
            StatisticsConstants.STATS_FEATURES: fobs.dumps(ROWS),
            "x": TEXT,
        }
        left = from_shareable(answered(airlock, DXO(DataKind.STATISTICS, data, {"x": TEXT}).to_shareable()))
        assert not left.meta
        assert not [word for word in words(left.data) if ROWS[0] in word]
        return dict(fobs.loads(left.data[step]))


class TestNotes:
    """A hospital's record of what left."""

    JOB = "00000000-0000-4000-8000-000000000001"

    def context(self) -> FLContext:
        context = FLContextManager(identity_name="cleveland", job_id=self.JOB).new_context()
        context.set_prop(FLContextKey.TASK_NAME, "train")
        return context

    def test_each_answer_is_noted_with_its_round_and_metrics(self, airlock: Airlock, tmp_path: Path) -> None:
        for number, answer in enumerate(
            [update(meta={MetaKey.INITIAL_METRICS: {"auc": 0.81234}}), Shareable()]
        ):
            context = self.context()
            task = DXO(DataKind.WEIGHTS, {"w": np.zeros(3)}).to_shareable()
            task.set_header(AppConstants.CURRENT_ROUND, number)
            SentModel().process(task, context)
            airlock.process(answer, context)
        lines = (tmp_path / "releases" / f"{self.JOB}.jsonl").read_text().splitlines()
        left, kept = [{**json.loads(line), "time": 0} for line in lines]
        assert left == {
            "time": 0,
            "task": "train",
            "round": 0,
            "kind": "WEIGHT_DIFF",
            "numbers": 3,
            "metrics": {"auc": 0.8123},
            "patients": PATIENTS,
        }
        assert (kept["round"], kept["refused"]) == (1, Refusal.NO_DXO.value)

    def test_numbers_of_statistics_and_histograms_are_counted(self, airlock: Airlock, tmp_path: Path) -> None:
        context = self.context()
        ages = float(sum(range(30, 30 + PATIENTS)))
        sums = {"count": {"patients": {"age": PATIENTS}}, "sum": {"patients": {"age": ages}}}
        data = {
            StatisticsConstants.STATISTICS_TASK_KEY: StatisticsConstants.STATS_1st_STATISTICS,
            StatisticsConstants.STATS_1st_STATISTICS: fobs.dumps(sums),
        }
        described = from_shareable(airlock.process(DXO(DataKind.STATISTICS, data).to_shareable(), context))
        released = fobs.loads(described.data[StatisticsConstants.STATS_1st_STATISTICS])
        SentModel().process(DXO(DataKind.WEIGHTS, {"w": np.zeros(3)}).to_shareable(), context)
        airlock.process(update(meta={HISTOGRAMS_KEY: {"ill": [10, 20]}}), context)
        lines = (tmp_path / "releases" / f"{self.JOB}.jsonl").read_text().splitlines()
        expected = sum(len(features) for sets in released.values() for features in sets.values())
        assert expected > 0
        assert [json.loads(line)["numbers"] for line in lines] == [expected, 3 + 2]

    def test_what_the_manifest_does_not_announce_stays_and_is_noted(
        self, airlock: Airlock, tmp_path: Path
    ) -> None:
        context = self.context()
        meta = {
            MetaKey.INITIAL_METRICS: {"auc": 0.8, "rows": 63.0},
            HISTOGRAMS_KEY: {"ill": [10], "more": [9]},
        }
        SentModel().process(DXO(DataKind.WEIGHTS, {"w": np.zeros(3)}).to_shareable(), context)
        left = from_shareable(airlock.process(update(meta=meta), context))
        assert left.meta[MetaKey.INITIAL_METRICS] == {"auc": 0.8}
        assert left.meta[HISTOGRAMS_KEY] == {"ill": [10]}
        note = json.loads((tmp_path / "releases" / f"{self.JOB}.jsonl").read_text())
        assert note["not announced"] == ["rows", "more"]
        assert "not announced" not in left.meta

    def test_manifest_is_read_from_what_was_unpacked(self, files: OwnFiles, tmp_path: Path) -> None:
        app = tmp_path / "app"
        app.mkdir()
        (app / "manifest.json").write_text(json.dumps(manifest_content(metrics=["brier"])))
        workspace = type("Workspace", (), {"get_app_dir": lambda _, job: str(app)})()
        engine = type("Engine", (), {"get_workspace": lambda _: workspace})()
        context = FLContextManager(engine=engine, job_id=self.JOB).new_context()
        (tmp_path / "airlock.json").write_text("{}")
        notes = Notes(tmp_path / "releases")
        airlock = Airlock(files, notes, tmp_path, policy=tmp_path / "airlock.json")
        answer = DXO(DataKind.METRICS, {"auc": 0.5, "brier": 0.1}).to_shareable()
        assert from_shareable(airlock.process(answer, context)).data == {"brier": 0.1}

    def test_beyond_its_notes_nothing_of_a_job_leaves(self, tmp_path: Path) -> None:
        notes = Notes(tmp_path)
        notes.note(self.JOB, {}, {"x": "y" * MOST_BYTES})
        with pytest.raises(NotesFullError):
            notes.note(self.JOB, {}, {})
        assert (tmp_path / f"{self.JOB}.jsonl").stat().st_size < 2 * MOST_BYTES

    def test_a_jobs_id_leads_nowhere_else(self, tmp_path: Path) -> None:
        Notes(tmp_path / "releases").note("../escape", {}, {})
        assert not list(tmp_path.rglob("*.jsonl"))


class Runner:
    """NVFlare's AuxRunner, as far as it sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Shareable]] = []

    def send_aux_request(
        self, targets: Any, topic: str, request: Shareable, *_: Any, **__: Any
    ) -> dict[str, Any]:
        self.sent.append((topic, request))
        return {"server": Shareable()}

    def multicast_aux_requests(self, topic: str, target_requests: Any, *_: Any, **__: Any) -> dict[str, Any]:
        self.sent.append((topic, target_requests))
        return {}


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr(FLContext, "get_all_public_props", FLContext.get_all_public_props)
    monkeypatch.setattr(AdminCommands, "commands", list(AdminCommands.commands))
    behind = Runner()
    context = FLContextManager(engine=type("Engine", (), {"aux_runner": behind})()).new_context()
    door.ClosedDoor().handle_event(EventType.ABOUT_TO_START_RUN, context)
    return behind


class TestDoor:
    @pytest.mark.parametrize(
        "topic",
        ["fed.event", "fed.analytix_log_stats", "my.topic", ReservedTopic.APP_METRICS, ReservedTopic.END_RUN],
    )
    def test_events_and_messages_of_a_job_stay(self, runner: Runner, topic: str) -> None:
        assert runner.send_aux_request(["server"], topic, Shareable({"rows": ROWS}), 1.0, FLContext()) == {}
        assert runner.multicast_aux_requests(topic, {"server": Shareable({"rows": ROWS})}) == {}
        assert not runner.sent

    @pytest.mark.parametrize("topic", door.TOPICS)
    def test_nvflares_own_messages_carry_a_tasks_id_alone(self, runner: Runner, topic: str) -> None:
        request = Shareable({"rows": ROWS})
        request.set_header("__task_id__", "id")
        request.set_header("x", TEXT)
        runner.send_aux_request(["server"], topic, request, 1.0, FLContext())
        ((_, sent),) = runner.sent
        assert sent == {"__headers__": {"__task_id__": "id"}}

    @pytest.mark.usefixtures("runner")
    def test_a_jobs_process_tells_nobody_what_it_counted_or_logged(self) -> None:
        """Over its own channel, to whoever holds the server's key (command_agent.py of NVFlare 2.9)."""
        own = {command.get_command_name() for command in AdminCommands.commands}
        assert own == {AdminCommandNames.ABORT, AdminCommandNames.ABORT_TASK}
        for name in (AdminCommandNames.SHOW_ERRORS, AdminCommandNames.SHOW_STATS, "configure_job_log"):
            assert AdminCommands.get_command(name) is None

    @pytest.mark.usefixtures("runner")
    def test_what_a_job_puts_into_a_context_stays(self) -> None:
        context = FLContextManager(identity_name="cleveland", job_id="7").new_context()
        context.set_prop("rows", ROWS, private=False, sticky=True)
        assert set(context.get_all_public_props()) == {"__identity_name__", "__run_num__"}


def test_every_hospitals_policy_names_its_filters_and_the_door() -> None:
    policy = json.loads(
        (Path(local_config.__file__).with_name("policy") / "hospital_privacy.json").read_text()
    )
    (scope,) = policy["scopes"]
    assert policy["default_scope"] == scope["name"]
    for key, own in (("task_data_filters", "SentModel"), ("task_result_filters", "Airlock")):
        paths = [part["path"] for part in scope[key]]
        assert paths == ["fed_site.withdrawal.StillApproved", f"fed_site.filters.{own}"]
    assert [part["path"] for part in policy["components"]] == ["fed_site.door.ClosedDoor"]


def test_rounding_keeps_the_digits_that_count() -> None:
    assert list(rounded(np.array([0.0, 1234.5, -0.00098765]), 3)) == pytest.approx([0, 1230, -0.000988])
