"""What parties send each other, and what fedctl prints: checked, versioned, small."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from container_server.cadence import Cadence
from container_server.config import Config, ConfigError
from container_server.control import BROKEN, DONE, WRONG, answer, serve
from container_server.errors import ContainerServerError, TransientError
from container_server.fedctl import OUTPUT_LIMIT, ask, fit, main
from container_server.health import alive, beat
from container_server.messages import InvalidMessageError, decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from clone import paths
from tests.unit.support.workloads_fakes import FakeClock

REPORT = {
    "hospital": "cleveland",
    "state": "running",
    "since": 1,
    "reason": "",
    "written": 1,
    "generation": 1,
    "client": {"running": "running", "restarts": 0, "heard": None},
    "data": {},
    "certificate": None,
    "versions": {},
}
DESIRED = {"generation": 3, "client": "running", "renew": 0}
CONTAINER_SERVER = paths.REPOSITORY / "workloads" / "container_server"


class TestMessages:
    def test_what_is_sent_is_what_arrives(self) -> None:
        assert decode("desired", encode("desired", DESIRED)) == {"schema": "fed/desired/1", **DESIRED}

    @pytest.mark.parametrize(
        "change",
        [
            {"generation": 0},
            {"generation": "3"},
            {"client": "paused"},
            {"renew": -1},
            {"reason": "x" * 501},
            {"unknown": 1},
        ],
    )
    def test_what_the_schema_does_not_allow_is_neither_sent_nor_taken(self, change: dict[str, Any]) -> None:
        with pytest.raises(InvalidMessageError):
            encode("desired", DESIRED | change)
        with pytest.raises(InvalidMessageError):
            decode("desired", json.dumps({"schema": "fed/desired/1", **DESIRED, **change}).encode())

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e15", "-1", "1e999", "9" * 5000])
    def test_number_that_is_no_moment_is_refused(self, number: str) -> None:
        for field in ("since", "written"):
            message = json.dumps({"schema": "fed/report/1", **REPORT, field: 0})
            assert decode("report", message.encode())
            with pytest.raises(InvalidMessageError):
                decode("report", message.replace(f'"{field}": 0', f'"{field}": {number}').encode())

    def test_another_version_is_refused(self) -> None:
        with pytest.raises(InvalidMessageError, match="schema"):
            decode("desired", json.dumps({"schema": "fed/desired/2", **DESIRED}).encode())

    @settings(max_examples=200, deadline=None)
    @given(
        kind=st.sampled_from(["desired", "root", "decision", "report"]),
        content=st.one_of(
            st.binary(max_size=200),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=8)),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
                ),
                max_leaves=8,
            ).map(lambda value: json.dumps(value).encode()),
        ),
    )
    def test_any_bytes_are_refused_and_never_crash(self, kind: str, content: bytes) -> None:
        with pytest.raises(InvalidMessageError):
            decode(kind, content)


class TestCadence:
    def test_each_failure_doubles_the_pause_up_to_the_longest(self) -> None:
        clock = FakeClock()
        cadence = Cadence(clock, interval=10.0, first_pause=1.0, longest_pause=60.0)
        pauses = []
        for _ in range(8):
            cadence.failed()
            began = clock.now()
            while not cadence.due():
                clock.sleep(0.5)
            pauses.append(clock.now() - began)
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_a_success_starts_over(self) -> None:
        clock = FakeClock()
        cadence = Cadence(clock, interval=10.0)
        cadence.failed()
        cadence.failed()
        cadence.succeeded()
        assert not cadence.failing
        clock.sleep(9.9)
        assert not cadence.due()
        clock.sleep(0.2)
        assert cadence.due()


class TestConfig:
    def test_everything_missing_is_named_at_once(self) -> None:
        with pytest.raises(ConfigError) as refusal:
            Config.read({"FED_ROLE": "hospital"})
        for name in ("FED_PARTY", "FED_FL_HOST", "FED_OWN_STORAGE", "AZURE_CLIENT_ID"):
            assert name in str(refusal.value)

    def test_wrong_values_are_named(self) -> None:
        with pytest.raises(ConfigError, match=r"FED_ROLE is 'x'.*FED_APPROVAL is 'y'"):
            Config.read({"FED_ROLE": "x", "FED_APPROVAL": "y"})


def refuse(arguments: Any) -> Any:
    raise ContainerServerError("there is no hospital 'x'")


def fail(arguments: Any) -> Any:
    raise TransientError("the engine does not answer")


HANDLERS = {
    "status": lambda arguments: {"party": "centre"},
    "approve": refuse,
    "submit": fail,
    "job": lambda arguments: 1 / 0,
    "abort": dict,
}


class TestControl:
    @pytest.mark.parametrize(
        ("request_line", "code"),
        [
            (b'{"command": "status"}', DONE),
            (b'{"command": "approve"}', WRONG),
            (b'{"command": "nothing"}', WRONG),
            (b'{"command": "submit"}', BROKEN),
            (b'{"command": "job"}', BROKEN),
            (b"", BROKEN),
            (b"[]", BROKEN),
            (b"\xff", BROKEN),
        ],
    )
    def test_every_request_gets_an_answer_with_a_code(self, request_line: bytes, code: int) -> None:
        assert answer(HANDLERS, request_line)["exit"] == code

    def test_an_unknown_command_names_those_there_are(self) -> None:
        assert "abort, approve, job, status, submit" in answer(HANDLERS, b'{"command": "x"}')["error"]

    def test_over_the_socket(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        server = serve(HANDLERS, path)
        try:
            assert ask("abort", {"id": "a1"}, path) == {"exit": DONE, "answer": {"id": "a1"}}
            assert path.stat().st_mode & 0o077 == 0
        finally:
            server.shutdown()
            server.server_close()

    @pytest.mark.parametrize(
        ("arguments", "code", "printed"),
        [
            (["status"], DONE, '{"party":"centre"}'),
            (["approve", "x"], WRONG, "no hospital 'x'"),
            (["submit", "--job", "heart"], BROKEN, "does not answer"),
            (["submit", "--job", "heart", "--param", "steps"], WRONG, "expected NAME=VALUE"),
        ],
    )
    def test_fedctl_prints_json_and_ends_with_the_code(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        code: int,
        printed: str,
    ) -> None:
        path = tmp_path / "s"
        monkeypatch.setenv("FEDCTL_SOCKET", str(path))
        server = serve(HANDLERS, path)
        try:
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        finally:
            server.shutdown()
            server.server_close()
        output = capsys.readouterr().out
        assert ended.value.code == code
        assert printed in output
        json.loads(output)

    def test_the_command_of_the_image_says_when_nobody_answers(self, tmp_path: Path) -> None:
        ended = subprocess.run(
            [sys.executable, str(CONTAINER_SERVER / "bin" / "fedctl"), "status"],
            check=False,
            env={"PYTHONPATH": str(CONTAINER_SERVER), "FEDCTL_SOCKET": str(tmp_path / "none")},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == BROKEN
        assert "does not answer" in json.loads(ended.stdout)["error"]


class TestOutput:
    def test_a_short_answer_is_printed_whole(self) -> None:
        assert json.loads(fit({"a": [1, 2]})) == {"a": [1, 2]}

    def test_the_status_of_a_hundred_hospitals_fits_azures_run_command(self) -> None:
        row = {"enrolment": "approved", "state": "running", "registered": True, "reported": 1_800_000_000}
        status = {"party": "centre", "hospitals": {f"hospital-{n:03}": row for n in range(100)}}
        printed = fit(status)
        assert len(printed.encode()) <= OUTPUT_LIMIT
        assert json.loads(printed)["cut"] is True
        assert json.loads(printed)["hospitals"]["hospital-000"] == row

    @settings(max_examples=100, deadline=None)
    @given(
        st.dictionaries(
            st.text(max_size=10),
            st.one_of(st.text(max_size=2000), st.lists(st.text(max_size=300), max_size=40)),
            max_size=8,
        )
    )
    def test_whatever_the_answer_it_is_json_and_fits(self, content: dict[str, Any]) -> None:
        printed = fit(content)
        json.loads(printed)
        assert len(printed.encode()) <= OUTPUT_LIMIT


def test_health_is_a_loop_that_turned_lately(tmp_path: Path) -> None:
    path = tmp_path / "beat"
    assert not alive(0.0, path)
    beat(path)
    turned = path.stat().st_mtime
    assert alive(turned + 59, path)
    assert not alive(turned + 61, path)
