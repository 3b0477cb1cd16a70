"""The privacy budget of a hospital: what answers with noise amount to, and that it is never spent twice."""

import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fed_site.kept import NotKeptError
from fed_site.privacy import LARGEST_EPSILON, Allowance, Budget, Ledger, delta, epsilon, gaussian, strength
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.support.ledgers_of_tests import at_once


@pytest.mark.parametrize(
    ("noise", "answers", "at", "known"),
    [
        (1.0, 1, 1e-5, 4.3771780957),
        (2.0, 10, 1e-5, 7.5112759007),
        (5.0, 100, 1e-6, 10.9971512142),
        (0.5, 4, 1e-5, 24.3816108831),
    ],
)
def test_epsilon_is_that_of_googles_accountant(noise: float, answers: int, at: float, known: float) -> None:
    """dp-accounting 0.6.0: `gaussian_mechanism.get_epsilon_gaussian(noise / sqrt(answers), at)`.

    Its PLDAccountant gives the same to seven digits (GaussianDpEvent(noise), composed `answers` times), its
    RdpAccountant up to eight per cent more. `noise` is in units of the sensitivity.
    """
    assert epsilon(math.sqrt(answers) / noise, at) == pytest.approx(known, rel=1e-9)


@given(st.floats(0.05, LARGEST_EPSILON), st.floats(1e-8, 0.01))
def test_a_strength_has_the_epsilon_that_it_was_made_for(wanted: float, at: float) -> None:
    found = strength(wanted, at)
    assert epsilon(found, at) == pytest.approx(wanted, rel=1e-4)
    assert delta(found, wanted) <= at


def test_two_data_sets_as_far_apart_as_can_be_are_told_apart_no_better_than_promised() -> None:
    """The best test of all, with the noise that is really drawn: right answers minus wrong ones."""
    budget = Budget(1.0, 1e-3, 4)
    drawn = (
        gaussian(200_000, budget.deviation(0.5)).reshape(4, -1).sum(axis=0)
    )  # four answers about one number
    half = 4 * 0.5  # either all answers are +0.5 or all are -0.5
    advantage = np.mean(drawn + half > 0) - np.mean(drawn - half > 0)
    exact = math.erf(math.sqrt(budget.whole) / 2 / math.sqrt(2))
    assert advantage == pytest.approx(exact, abs=0.02)
    assert advantage <= (math.e**1.0 - 1 + 2e-3) / (math.e**1.0 + 1)


def test_noise_is_normal_and_never_the_same() -> None:
    drawn = gaussian(100_000, 2.0)
    assert np.std(drawn) == pytest.approx(2.0, rel=0.02)
    assert np.mean(np.abs(drawn) < 2.0) == pytest.approx(0.6827, abs=0.01)
    assert np.isfinite(drawn).all()
    assert not set(gaussian(10, 1.0)) & set(gaussian(10, 1.0))


class TestLedger:
    budget = Budget(4.0, 1e-5, 2)

    def test_an_answer_is_noted_before_it_leaves_and_survives_a_restart(self, tmp_path: Path) -> None:
        assert Ledger(tmp_path / "budget.json", at_once).take(self.budget)
        assert json.loads((tmp_path / "budget.json").read_text())["answers"] == 1
        assert Ledger(tmp_path / "budget.json", at_once).take(self.budget)
        assert not Ledger(tmp_path / "budget.json", at_once).take(self.budget)

    def test_answers_at_the_same_time_spend_no_part_twice(self, tmp_path: Path) -> None:
        """A server may push tasks besides those asked for (`ReservedTopic.DO_TASK`, NVFlare 2.9)."""
        ledger, together = Ledger(tmp_path / "budget.json", at_once), threading.Barrier(8)

        def take(_: int) -> bool:
            together.wait()
            return ledger.take(self.budget)

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(take, range(8))) == self.budget.answers

    def test_another_policy_goes_on_from_what_was_spent(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path / "budget.json", at_once)
        assert ledger.take(Budget(8.0, 1e-5, 1))
        assert not ledger.take(self.budget)
        assert ledger.epsilon(1e-5) == pytest.approx(8.0)

    def test_nothing_leaves_before_the_hospitals_account_has_the_ledger(self, tmp_path: Path) -> None:
        """A disk that is lost gave back what was spent since its last backup."""
        kept: list[str] = []
        ledger = Ledger(tmp_path / "budget.json", lambda path: kept.append(path.read_text()))
        assert ledger.take(self.budget)
        assert json.loads(kept[0])["answers"] == 1

        def away(path: Path) -> None:
            raise NotKeptError("budget.json has not reached the hospital's account")

        with pytest.raises(NotKeptError):
            Ledger(tmp_path / "budget.json", away).take(self.budget)
        assert not Ledger(tmp_path / "budget.json", at_once).take(self.budget), "spent, as it may have left"

    def test_a_ledger_of_before_goes_on(self, tmp_path: Path) -> None:
        (tmp_path / "budget.json").write_text(json.dumps({"spent": self.budget.share, "answers": 1}))
        ledger = Ledger(tmp_path / "budget.json", at_once)
        assert ledger.take(self.budget)
        assert not ledger.take(self.budget)

    def test_a_ledger_that_cannot_be_written_lets_nothing_out(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="budget"):
            Ledger(tmp_path / "missing" / "budget.json", at_once).take(self.budget)


class TestStudies:
    """A hospital's budget, and within it one for each study that its officers name."""

    budget = Budget(
        8.0, 1e-5, 6, studies={"heart": Allowance(4.0, 1e-5, 2), "lungs": Allowance(20.0, 1e-5, 1)}
    )

    def ledger(self, folder: Path) -> Ledger:
        return Ledger(folder / "budget.json", at_once)

    def test_a_study_ends_when_its_own_budget_is_spent(self, tmp_path: Path) -> None:
        ledger = self.ledger(tmp_path)
        assert [ledger.take(self.budget, "heart") for _ in range(3)] == [True, True, False]
        assert ledger.epsilon(1e-5, "heart") <= 4.0
        assert ledger.take(self.budget, "lungs"), "another one goes on"

    def test_all_of_them_end_when_the_hospitals_budget_is_spent(self, tmp_path: Path) -> None:
        ledger = self.ledger(tmp_path)
        taken = sum(ledger.take(self.budget, name) for _ in range(10) for name in ("heart", "lungs"))
        assert 0 < taken <= 6
        assert ledger.epsilon(1e-5) <= 8.0 * (1 + 1e-6)
        assert not ledger.take(Budget(8.0, 1e-5, taken, studies={"new": Allowance(8.0, 1e-5, 1)}), "new")

    def test_noise_is_that_of_the_smaller_share(self) -> None:
        heart, lungs = (self.budget.deviation(1.0, study=name) for name in ("heart", "lungs"))
        assert heart == pytest.approx(Budget(4.0, 1e-5, 2).deviation(1.0)) or heart == self.budget.deviation(
            1.0
        )
        assert lungs == self.budget.deviation(1.0), "a study's own budget, if larger, makes no less noise"
        small = Budget(8.0, 1e-5, 6, studies={"few": Allowance(0.5, 1e-5, 2)})
        assert small.deviation(1.0, study="few") > small.deviation(1.0)

    def test_what_is_spent_of_a_study_is_that_of_googles_formula(self, tmp_path: Path) -> None:
        ledger = self.ledger(tmp_path)
        assert ledger.take(self.budget, "heart")
        expected = epsilon(math.sqrt(self.budget.taken("heart")), 1e-5)
        assert ledger.epsilon(1e-5, "heart") == pytest.approx(expected)

    def test_a_study_that_is_not_named_has_nothing(self) -> None:
        assert not self.budget.knows("other")
        assert not self.budget.knows("")
        assert Budget(8.0, 1e-5, 6).knows("")
        assert Budget(8.0, 1e-5, 6).knows("other")

    @pytest.mark.parametrize("studies", [{"heart": -1.0}, {"heart": math.inf}, [1], {"heart": None}])
    def test_a_damaged_ledger_is_no_empty_one(self, tmp_path: Path, studies: object) -> None:
        content = {"spent": 0.0, "answers": 0, "studies": studies}
        (tmp_path / "budget.json").write_text(json.dumps(content))
        with pytest.raises((ValueError, TypeError)):
            self.ledger(tmp_path).take(self.budget, "heart")
