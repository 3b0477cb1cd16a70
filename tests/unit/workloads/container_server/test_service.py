"""The service around the agents' loops."""

import signal
import threading

import pytest
from container_server import __main__ as service

from tests.unit.support.workloads_fakes import FakeClock


class TestWork:
    def test_long_work_turns_beside_the_loop(self) -> None:
        turned, enough, forever = [], threading.Event(), threading.Event()

        def turn() -> float:
            turned.append(threading.current_thread().name)
            if len(turned) == 3:
                enough.set()
                forever.wait()
            return 1.0

        service.work(turn, FakeClock())
        assert enough.wait(timeout=30)
        assert turned == ["work"] * 3

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_its_end_ends_the_service_so_that_docker_starts_it_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ended, turns = threading.Event(), iter([1.0])
        sent: list[int] = []

        def kill(process: int, number: int) -> None:
            sent.append(number)
            ended.set()

        monkeypatch.setattr(service.os, "kill", kill)
        service.work(lambda: next(turns), FakeClock())
        assert ended.wait(timeout=30)
        assert sent == [signal.SIGTERM]
