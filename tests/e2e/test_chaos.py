"""Faults on purpose with the real engine: a fixed few in each run of the suite, a campaign when asked for."""

from collections.abc import Iterator
from random import Random

import pytest

from automation.chaos import kills, run, trial
from automation.chaos.life import LIFE, UPDATE, Life


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A federation of one hospital, deployed and without VMs."""
    life = Life.begin(tmp_path_factory.mktemp("chaos"))
    try:
        life.undisturbed(LIFE[0])
        life.undisturbed(UPDATE)
        yield life
    finally:
        life.clone.remove()


@pytest.mark.parametrize("victim", ["language host", "policy pack", "provider"])
def test_an_update_whose_helper_is_killed_goes_on_the_next_time(life: Life, victim: str) -> None:
    life.cycle += 1
    UPDATE.before(life.clone, life.cycle)
    process = life.clone.start(*UPDATE.command)
    killed = kills.kill(life.clone, process, {victim: (0.0, 0.0)}, Random(1))  # noqa: S311 no secret
    ended = life.clone.end(process)
    assert killed, ended
    found = life.converged(f"kill {victim}", UPDATE, ended, 1, prove=victim == "provider")
    assert found.held, found.said


OF_EACH_PART = ("kill engine", "Ctrl-C", "kill machine's first process", "power off", "lost answer")
"""One or two of each part's faults; all of them, at many moments, take hours: `./fed chaos`."""


@pytest.mark.long
def test_a_campaign_holds() -> None:
    campaign = run.run(seed=1, faults=OF_EACH_PART, minutes=12, moments=1)
    assert campaign.trials
    assert campaign.held, trial.markdown(campaign)
