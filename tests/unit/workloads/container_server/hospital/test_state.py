"""The hospital's state machine: a state, its reason and one action follow from the facts alone."""

from dataclasses import replace
from typing import Any

import pytest
from container_server.engine import ContainerState, Running
from container_server.hospital.state import Action, Facts, State, decide

UP = ContainerState(Running.RUNNING)
DOWN = ContainerState(Running.STOPPED)
GOOD = Facts(wanted="running", has_data=True, client=UP, heard_ago=2.0, started_ago=100.0)


class TestTheWayUp:
    def test_without_a_kit_it_enrols(self) -> None:
        decision = decide(Facts(wanted="running", enrolment="waiting for the centre", client=DOWN))
        assert (decision.state, decision.action) == (State.UNENROLLED, Action.ENROL)
        assert decision.reason == "waiting for the centre"

    def test_with_a_kit_it_waits_for_the_data(self) -> None:
        decision = decide(Facts(wanted="running", client=DOWN))
        assert (decision.state, decision.action) == (State.ENROLLED, Action.NONE)

    def test_with_kit_and_data_it_starts_the_client(self) -> None:
        decision = decide(Facts(wanted="running", has_data=True, client=DOWN))
        assert (decision.state, decision.action) == (State.VERIFIED, Action.START)

    def test_a_started_client_is_not_yet_running(self) -> None:
        decision = decide(replace(GOOD, heard_ago=None, started_ago=5.0))
        assert (decision.state, decision.action) == (State.VERIFIED, Action.NONE)

    def test_it_runs_when_the_server_answers(self) -> None:
        assert decide(GOOD).state is State.RUNNING

    @pytest.mark.parametrize(
        ("changes", "action"),
        [
            ({"heard_ago": 100.0}, Action.NONE),
            ({"heard_ago": 130.0}, Action.RESTART),
            ({"heard_ago": 130.0, "job_runs": True}, Action.NONE),
            ({"heard_ago": 610.0, "job_runs": True}, Action.RESTART),
            ({"heard_ago": None, "started_ago": 500.0}, Action.NONE),
            ({"heard_ago": None, "started_ago": 610.0}, Action.RESTART),
        ],
    )
    def test_a_client_that_hears_nothing_for_long_is_started_again(
        self, changes: dict[str, Any], action: Action
    ) -> None:
        """NVFlare 2.9 does not register again by itself with a server whose key has changed."""
        assert decide(replace(GOOD, **changes)).action is action


class TestFaults:
    def test_a_faulty_kit_stops_the_client_and_says_which_file(self) -> None:
        decision = decide(replace(GOOD, kit_faults=("startup/client.key: missing",)))
        assert (decision.state, decision.action) == (State.DEGRADED, Action.STOP)
        assert "startup/client.key: missing" in decision.reason

    def test_a_faulty_kit_never_starts_a_client(self) -> None:
        decision = decide(replace(GOOD, client=DOWN, kit_faults=("startup/client.key: missing",)))
        assert decision.action is Action.NONE

    def test_a_client_without_any_kit_is_stopped_before_enrolling(self) -> None:
        assert decide(replace(GOOD, enrolment="asking")).action is Action.STOP

    def test_wrong_data_and_no_older_copy_means_no_client(self) -> None:
        decision = decide(Facts(wanted="running", data_faults=("heart.csv: empty",), client=DOWN))
        assert (decision.state, decision.action) == (State.DEGRADED, Action.NONE)
        assert "heart.csv: empty" in decision.reason

    def test_wrong_new_data_leaves_the_client_on_the_old_copy_and_says_so(self) -> None:
        decision = decide(replace(GOOD, data_faults=("heart.csv: empty",)))
        assert (decision.state, decision.action) == (State.DEGRADED, Action.NONE)
        assert "last good data" in decision.reason

    def test_silence_of_the_server_is_a_fault_after_a_while(self) -> None:
        decision = decide(replace(GOOD, heard_ago=31.0))
        assert decision.state is State.DEGRADED
        assert "31 s ago" in decision.reason

    def test_a_client_that_never_registers_is_a_fault_after_its_grace(self) -> None:
        assert decide(replace(GOOD, heard_ago=None, started_ago=61.0)).state is State.DEGRADED

    def test_a_client_that_ended_is_a_fault_at_once_and_started_again(self) -> None:
        ended = ContainerState(Running.STOPPED, 101)
        decision = decide(replace(GOOD, client=ended, heard_ago=None, started_ago=5.0))
        assert (decision.state, decision.action) == (State.DEGRADED, Action.START)
        assert "exit code 101" in decision.reason
        assert "see its log" in decision.reason

    def test_one_that_keeps_ending_stays_a_fault_until_the_server_answers_it(self) -> None:
        again = replace(GOOD, heard_ago=None, started_ago=5.0, restarts=3)
        assert decide(again).state is State.DEGRADED
        assert "started again 3 times" in decide(again).reason
        assert decide(replace(again, heard_ago=2.0)).state is State.RUNNING

    def test_what_the_last_boot_left_is_no_fault(self) -> None:
        left = ContainerState(Running.STOPPED, 255)
        decision = decide(Facts(wanted="running", has_data=True, client=left))
        assert (decision.state, decision.action) == (State.VERIFIED, Action.START)

    def test_a_missing_container_is_named(self) -> None:
        decision = decide(Facts(wanted="running", has_data=True, client=ContainerState(Running.ABSENT)))
        assert decision.state is State.DEGRADED
        assert "fl-client" in decision.reason


class TestStopped:
    def test_the_centres_stop_ends_the_client_with_its_reason(self) -> None:
        decision = decide(replace(GOOD, wanted="stopped", wanted_reason="revoked by the centre: lost"))
        assert (decision.state, decision.action) == (State.STOPPED, Action.STOP)
        assert "lost" in decision.reason

    def test_stopped_stays_stopped_whatever_else_is_wrong(self) -> None:
        facts = replace(GOOD, wanted="stopped", client=DOWN, kit_faults=("x: missing",), enrolment="asking")
        assert decide(facts).action is Action.NONE
        assert decide(facts).state is State.STOPPED
