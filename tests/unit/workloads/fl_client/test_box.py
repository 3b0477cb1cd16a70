"""A job's code runs in a box: what client and box say to each other, and what each side makes of it."""

import json
import os
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from container_server.engine import ContainerState, Limits, Running
from container_server.hospital.box import BOX, CLIENT, BoxKeeper, Width
from container_server.hospital.box_input import BoxInput
from fed_box import channel, run
from fed_box.channel import ChannelError, ClosedError, Frame, LateError, receive, send
from fed_server import answers
from fed_site import box, box_executor, start
from fed_site.airlock import place
from fed_site.box import NoBoxError
from fed_site.box_answer import ENDED, FORM, LATE, NO_BOX, TASK, BoxError, BoxFailedError, read
from fed_site.box_executor import BoxExecutor
from fed_site.filters import ERROR_HEADER, PATIENT_CHANGE, Airlock, SentModel
from fed_site.manifest import Manifest
from fed_site.notes import Notes
from fed_site.patients import OwnFiles
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants

from tests.unit.support.job_archives import ROOT, manifest_content
from tests.unit.support.ledgers_of_tests import at_once
from tests.unit.support.workloads_fakes import FakeClock, FakeEngine
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

HEART = ROOT / "workloads/jobs/heart"

SECONDS = 20.0
JOB = "00000000-0000-4000-8000-000000000001"
Pair = tuple[socket.socket, socket.socket]
ANSWER: dict[str, Any] = {
    "params": "DIFF",
    "metrics": {"auc": 0.8},
    "histograms": None,
    "patients": 12,
    "patient_change": 0.5,
}


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The client's end and the box's."""
    client, box = socket.socketpair()
    with client, box:
        yield client, box


def raw(header: Any, arrays: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<I", len(content)) + content + arrays


def described(*arrays: Any, **changes: Any) -> dict[str, Any]:
    return {"kind": "answer", "values": {}, "arrays": list(arrays), **changes}


class TestChannel:
    def test_a_frame_arrives_as_it_was_sent(self, pair: Pair) -> None:
        arrays = {
            "w": np.arange(6, dtype=">f4").reshape(2, 3),
            "scalar": np.float64(0.5),
            "none": np.zeros((0, 4)),
            "transposed": np.arange(4, dtype=np.int64).reshape(2, 2).T,
        }
        send(pair[1], Frame(kind="answer", values={"a": [1, None, "x"]}, arrays=arrays), SECONDS)
        got = receive(pair[0], SECONDS)
        assert (got.kind, got.values) == ("answer", {"a": [1, None, "x"]})
        assert list(got.arrays) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(got.arrays[name], array)
            assert got.arrays[name].shape == np.shape(array)

    @pytest.mark.parametrize(
        "frame",
        [
            struct.pack("<I", channel.LARGEST_HEADER + 1),
            raw(b"\xff"),
            raw(b"[" * 100_000),
            raw([]),
            raw({"kind": "answer"}),
            raw(described(extra=1)),
            raw(described(kind=1)),
            raw(described(values=[])),
            raw(described(arrays={})),
            raw(b'{"kind": "answer", "values": {"a": NaN}, "arrays": []}'),
            raw(described(*[[f"w{number}", "<f4", [0]] for number in range(channel.MOST_ARRAYS + 1)])),
            raw(described("w")),
            raw(described(["w", "<f4"])),
            raw(described([1, "<f4", [1]])),
            raw(described(["", "<f4", [1]])),
            raw(described(["w\n", "<f4", [1]])),
            raw(described(["w" * 201, "<f4", [1]])),
            raw(described(["w", "|O", [1]])),
            raw(described(["w", ["<f4"], [1]])),
            raw(described(["w", "<f4", 1])),
            raw(described(["w", "<f4", [1] * 9])),
            raw(described(["w", "<f4", [-1]])),
            raw(described(["w", "<f4", [1.5]])),
            raw(described(["w", "<f4", [True]])),
            raw(described(["w", "<f4", [2**28, 2**28]])),
            raw(described(["w", "<f8", [0, *[2**29] * 7]])),
            raw(described(["w", "<f4", [1]], ["w", "<f4", [1]]), bytes(8)),
            raw(described(["w", "<f8", [100]])),
        ],
    )
    def test_what_is_no_frame_is_refused_before_more_is_read(self, pair: Pair, frame: bytes) -> None:
        pair[1].sendall(frame)
        with pytest.raises(ChannelError) as refused:
            receive(pair[0], SECONDS, largest=512)
        assert not isinstance(refused.value, ClosedError | LateError)

    @pytest.mark.parametrize("sent", [b"", b"\x05\x00", raw(described(["w", "<f4", [3]]), bytes(11))])
    def test_one_that_breaks_off_has_closed(self, pair: Pair, sent: bytes) -> None:
        pair[1].sendall(sent)
        pair[1].close()
        with pytest.raises(ClosedError):
            receive(pair[0], SECONDS)

    @pytest.mark.parametrize("sent", [b"", raw(described(["w", "<f4", [3]]), bytes(11))])
    def test_one_that_never_ends_is_late(self, pair: Pair, sent: bytes) -> None:
        pair[1].sendall(sent)
        with pytest.raises(LateError):
            receive(pair[0], 0.01)

    def test_one_that_trickles_is_late_as_a_whole(self, pair: Pair) -> None:
        """Each byte in time, the message never."""
        over = threading.Event()

        def trickle() -> None:
            for byte in raw(described(["w", "<f4", [1000]]), bytes(4000)):
                if over.wait(0.001):
                    return
                pair[1].sendall(bytes([byte]))

        slow = threading.Thread(target=trickle)
        slow.start()
        with pytest.raises(LateError):
            receive(pair[0], 0.05)
        over.set()
        slow.join()

    def test_waiting_ends_when_the_job_is_stopped(self, pair: Pair) -> None:
        with pytest.raises(LateError):
            receive(pair[0], SECONDS, stop=lambda: True)

    @pytest.mark.parametrize(
        "value", [np.array(["row"]), np.array([object()]), np.array([1j]), b"row", {"a": 1}]
    )
    def test_only_numbers_are_sent(self, pair: Pair, value: Any) -> None:
        with pytest.raises(ChannelError):
            send(pair[1], Frame(kind="answer", arrays={"w": value}), SECONDS)


class TestAnswers:
    def test_an_honest_one_is_typed(self) -> None:
        values = {**ANSWER, "histograms": {"ill": [1, 2]}}
        answer = read(Frame(kind="answer", values=values, arrays={"w": np.ones(2)}), {})
        assert (answer.params, answer.metrics, answer.patients) == ("DIFF", {"auc": 0.8}, 12.0)
        assert answer.histograms == {"ill": [1.0, 2.0]}

    @pytest.mark.parametrize(
        "changes",
        [
            {"params": "full"},
            {"params": ["DIFF"]},
            {"row": "63,1,1"},
            {"metrics": [0.8]},
            {"metrics": {"auc": "0.8"}},
            {"metrics": {"auc": True}},
            {"metrics": {"auc": [0.8]}},
            {"metrics": {"a\nb": 0.8}},
            {"metrics": {"a" * 201: 0.8}},
            {"metrics": {"auc": 10**400}},
            {"metrics": {f"m{number}": 0 for number in range(1001)}},
            {"histograms": [1]},
            {"histograms": {"ill": 3}},
            {"histograms": {"ill": ["3"]}},
            {"histograms": {"ill": [0] * 10_001}},
            {"patients": "many"},
            {"patients": {}},
            {"patient_change": "0.5"},
        ],
    )
    def test_any_other_form_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ChannelError):
            read(Frame(kind="answer", values={**ANSWER, **changes}), {})

    @pytest.mark.parametrize(
        "frame",
        [
            Frame(kind="task", values=ANSWER),
            Frame(kind="answer", values={**ANSWER, "params": None}, arrays={"w": np.ones(1)}),
            Frame(kind="answer", values={name: ANSWER[name] for name in ("params", "metrics")}),
        ],
    )
    def test_neither_is_another_frame(self, frame: Frame) -> None:
        with pytest.raises(ChannelError):
            read(frame, {})

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            (("ValueError", "job/train.py", 3), BoxError(kind="ValueError", file="job/train.py", line=3)),
            (("Patient63Male", "job/train.py", 3), BoxError(kind="Exception", file="job/train.py", line=3)),
            (("ValueError", "63,1,1,145", 3), BoxError(kind="ValueError")),
            (("ValueError", "job/train.py", 11), BoxError(kind="ValueError")),
            (("ValueError", "job/train.py", 0), BoxError(kind="ValueError")),
            (("ValueError", "job/train.py", "3"), BoxError(kind="ValueError")),
            (("ValueError", ["job/train.py"], True), BoxError(kind="ValueError")),
            ((["x"], None, None), BoxError(kind="Exception")),
        ],
    )
    def test_an_error_names_a_known_class_and_a_line_that_is_there(
        self, said: tuple[Any, ...], kept: BoxError
    ) -> None:
        values = dict(zip(("error", "file", "line"), said, strict=True))
        with pytest.raises(BoxFailedError) as failed:
            read(Frame(kind="error", values=values), {"job/train.py": 10})
        assert failed.value.error == kept


UNMODIFIED = """
import argparse
import nvflare.client as flare
from nvflare.client.tracking import SummaryWriter
import helper

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
rate = parser.parse_args().rate
flare.init()
writer = SummaryWriter()
print("at", flare.get_site_name(), flare.system_info(), flare.get_config())
while flare.is_running():
    model = flare.receive()
    assert flare.is_train() and flare.get_task_name() == "train"
    writer.add_scalar("loss", 0.5, global_step=model.current_round)
    print("round", model.current_round, "of", model.total_rounds)
    flare.send(flare.FLModel(
        params={"w": helper.better(model.params["w"], rate)},
        metrics={"auc": 0.75, "bad": float("nan"), "text": "row"},
        meta={"NUM_STEPS_CURRENT_ROUND": 7, "score_histograms": {"ill": [1, 2]}, "row": "63,1"},
    ))
print("over")
"""
HELPER = "def better(weights, rate):\n    weights += rate\n    return weights\n"


class InABox:
    """What the box runs, on a script, in a process of its own; and the client's end of its connection."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        self._log = folder / "log"
        self.connection, other = socket.socketpair()
        self._pid = os.fork()  # a new interpreter would spend seconds to import NVFlare
        if self._pid == 0:
            ended = 2
            try:
                self.connection.close()
                with self._log.open("w") as log:
                    sys.stdout = sys.stderr = log
                    ended = run.run(folder, other)
            finally:
                os._exit(ended)
        other.close()

    def start(self, **changes: Any) -> None:
        start = {
            "job": "1",
            "site": "basel",
            "script": "train.py",
            "arguments": [],
            "settings": {},
            **changes,
        }
        send(self.connection, Frame(kind="start", values=start), SECONDS)

    def end(self) -> tuple[int, str]:
        """Say no more; exit code and what the program printed."""
        self.connection.close()
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status), self._log.read_text()


class TestScripts:
    def test_one_of_the_client_api_runs_as_it_is(self, tmp_path: Path) -> None:
        box = InABox(tmp_path, {"train.py": UNMODIFIED, "helper.py": HELPER})
        box.start(arguments=["--rate", 0.25], settings={"depth": 3})
        for number in range(2):
            task = {"task": "train", "round": number, "rounds": 2}
            send(box.connection, Frame(kind="task", values=task, arrays={"w": np.ones(2)}), SECONDS)
            answer = receive(box.connection, 60)
            np.testing.assert_array_equal(answer.arrays["w"], [1.25, 1.25])
            assert answer.values == {
                "params": "FULL",
                "metrics": {"auc": 0.75},
                "histograms": {"ill": [1, 2]},
                "patients": 7,
                "patient_change": None,
            }
        code, said = box.end()
        assert code == 0, said
        assert "at basel {'job_id': '1', 'site_name': 'basel'} {'depth': 3}" in said
        assert "round 1 of 2" in said
        assert "log loss: 0.5" in said
        assert "over" in said

    def test_it_is_told_where_its_data_are(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("FED_DATA", raising=False)
        box = InABox(tmp_path, {"train.py": "import os\nprint(os.environ['FED_DATA'])"})
        box.start()
        code, printed = box.end()
        assert (code, printed.strip()) == (0, "/data")

    def test_it_works_where_it_may_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Published scripts save checkpoints as `./model.pth`; a box is read-only but for its scratch."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        box = InABox(tmp_path / "code", {"train.py": "open('model.pth', 'w').write('x')"})
        box.start()
        code, printed = box.end()
        assert code == 0, printed
        assert (tmp_path / "model.pth").is_file()

    def test_an_error_says_where_in_the_jobs_own_code(self, tmp_path: Path) -> None:
        files = {
            "job/train.py": "import nvflare.client as flare\nflare.init().api.receive()\nimport job.helper\n",
            "job/helper.py": "import json\n\njson.loads('row')\n",
        }
        box = InABox(tmp_path, files)
        box.start(script="job/train.py")
        send(box.connection, Frame(kind="task", values={"task": "train", "round": 0, "rounds": 1}), SECONDS)
        said = receive(box.connection, 60)
        assert said == Frame(
            kind="error", values={"error": "JSONDecodeError", "file": "job/helper.py", "line": 3}
        )
        code, printed = box.end()
        assert code == 1
        assert "Expecting value" in printed  # the trace stays here


class FakeBox:
    """A box that answers each task as a test says."""

    def __init__(self, *answers: Frame | Exception) -> None:
        self.answers = list(answers)
        self.heard: list[Frame] = []
        self.patience: list[float] = []
        self.refuses: Exception | None = None
        self.open = True

    def send(self, frame: Frame, seconds: float) -> None:
        if frame.kind == "task" and self.refuses:
            raise self.refuses
        self.heard.append(frame)

    def receive(self, seconds: float, stop: Callable[[], bool], largest: int) -> Frame:
        answer = self.answers.pop(0)
        self.patience.append(seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.open = False


def task(number: int = 0) -> Shareable:
    shareable: Shareable = DXO(DataKind.WEIGHTS, {"w": np.ones(2)}).to_shareable()
    shareable.set_header(AppConstants.CURRENT_ROUND, number)
    shareable.set_header(AppConstants.NUM_ROUNDS, 3)
    return shareable


def executor(box: FakeBox, tmp_path: Path) -> BoxExecutor:
    made = BoxExecutor("train.py", ["--rate", 1], {"depth": 3})
    made._meet = lambda stop: box
    (tmp_path / "train.py").write_text("1\n2\n3\n")
    made._code = tmp_path
    return made


def answered(values: dict[str, Any] | None = None) -> Frame:
    return Frame(kind="answer", values=ANSWER | (values or {}), arrays={"w": np.full(2, 0.5)})


class TestExecutor:
    def test_the_box_is_told_once_what_to_run_and_gets_each_round(self, tmp_path: Path) -> None:
        box = FakeBox(answered(), answered())
        running = executor(box, tmp_path)
        for number in range(2):
            running.execute("train", task(number), FLContext(), Signal())
        assert [frame.kind for frame in box.heard] == ["start", "task", "task"]
        assert box.heard[0].values["arguments"] == ["--rate", 1]
        assert box.heard[2].values == {"task": "train", "round": 1, "rounds": 3}
        running.handle_event(EventType.END_RUN, FLContext())
        assert not box.open

    @pytest.mark.parametrize(
        ("said", "kind"),
        [("DIFF", DataKind.WEIGHT_DIFF), ("FULL", DataKind.WEIGHTS), (None, DataKind.METRICS)],
    )
    def test_an_answer_becomes_nvflares(self, tmp_path: Path, said: str | None, kind: str) -> None:
        frame = answered({"params": said, "histograms": {"ill": [3]}})
        if said is None:
            frame = Frame(kind="answer", values=frame.values)
        reply = executor(FakeBox(frame), tmp_path).execute("train", task(), FLContext(), Signal())
        dxo = from_shareable(reply)
        assert dxo.data_kind == kind
        if said is None:
            assert dxo.data == {"auc": 0.8}
        else:
            np.testing.assert_array_equal(dxo.data["w"], [0.5, 0.5])
            assert dxo.get_meta_prop(MetaKey.INITIAL_METRICS) == {"auc": 0.8}
            assert dxo.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND) == 12
            assert dxo.get_meta_prop(PATIENT_CHANGE) == 0.5

    @pytest.mark.parametrize(
        ("failure", "told"),
        [
            (LateError("x"), LATE),
            (ClosedError("x"), ENDED),
            (ChannelError("x"), FORM),
            (Frame(kind="pickle"), FORM),
            (
                Frame(kind="error", values={"error": "KeyError", "file": "train.py", "line": 2}),
                BoxError(kind="KeyError", file="train.py", line=2),
            ),
        ],
    )
    def test_a_box_that_fails_is_told_of_and_spoken_to_no_more(
        self, tmp_path: Path, failure: Any, told: BoxError
    ) -> None:
        box = FakeBox(failure, answered())
        running = executor(box, tmp_path)
        for _ in range(2):
            reply = running.execute("train", task(), FLContext(), Signal())
            assert reply.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
            assert reply.get_header(ERROR_HEADER) == vars(told)
        assert [frame.kind for frame in box.heard] == ["start", "task"]
        assert not box.open

    def test_a_model_that_the_channel_does_not_carry_is_no_fault_of_the_scripts(self, tmp_path: Path) -> None:
        """Before anything of the box's is read: neither it nor the author's code is to blame."""
        box = FakeBox(answered())
        box.refuses = ChannelError("the message is too large")
        reply = executor(box, tmp_path).execute("train", task(), FLContext(), Signal())
        assert reply.get_header(ERROR_HEADER) == vars(TASK)
        assert place(vars(TASK)) == TASK.kind

    def test_without_a_box_there_is_no_answer(self, tmp_path: Path) -> None:
        running = executor(FakeBox(), tmp_path)

        def nobody(stop: Callable[[], bool]) -> Any:
            raise NoBoxError("container engine: no such image")

        running._meet = nobody
        reply = running.execute("train", task(), FLContext(), Signal())
        assert reply.get_header(ERROR_HEADER) == vars(NO_BOX)


class TestHeart:
    """The platform's own job, from the round's model to what the server takes."""

    def test_its_answer_leaves_the_box_passes_the_airlock_and_counts_at_the_centre(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = tmp_path / "data"
        data.mkdir()
        (data / "heart.csv").write_bytes(heart_data.seed("cleveland"))
        (tmp_path / "airlock.json").write_text("{}")
        monkeypatch.setenv("FED_DATA", str(data))
        described = yaml.safe_load((HEART / "job.yaml").read_text())
        leaves = {"model": {"numpy_key": str(1 + len(model.FEATURES))}, "statistics": []}
        leaves |= {"metrics": described["metrics"]}
        leaves |= {"histograms": {name: str(cells) for name, cells in described["histograms"].items()}}
        manifest = Manifest.read(json.dumps(manifest_content(leaves=leaves)).encode())
        airlock = Airlock(
            OwnFiles(data),
            Notes(tmp_path / "releases"),
            folder=tmp_path,
            policy=tmp_path / "airlock.json",
            manifest=manifest,
            keep=at_once,
        )
        boxed = InABox(
            tmp_path / "code",
            {
                f"heart_job/{name}": (HEART / "heart_job" / name).read_text()
                for name in ("__init__.py", "model.py", "train.py")
            },
        )
        scaling = {feature: [50.0, 10.0] for feature in model.FEATURES}
        running = BoxExecutor("heart_job/train.py", ["--rounds", 1, "--steps", 5], {"scaling": scaling})
        running._meet = lambda stop: box.Box(boxed.connection)
        running._code = tmp_path / "code"
        context = FLContextManager(identity_name="cleveland", job_id=JOB).new_context()
        weights = np.zeros(1 + len(model.FEATURES))
        for number in range(2):
            sent = DXO(DataKind.WEIGHTS, {"numpy_key": weights}).to_shareable()
            sent.set_header(AppConstants.CURRENT_ROUND, number)
            sent.set_header(AppConstants.NUM_ROUNDS, 2)
            SentModel().process(sent, context)
            reply = running.execute("train", sent, context, Signal())
            left = from_shareable(airlock.process(reply, context))
            expected = answers.Expected(
                shapes={"numpy_key": weights.shape},
                rows=303,
                metrics=("n_test", "n_train"),
                histograms={"healthy": model.SCORE_BINS, "ill": model.SCORE_BINS},
            )
            counted = answers.read(left.data_kind, left.data, left.meta, expected)
            assert counted.patients == 212
            assert counted.sent.metrics["own_auc"] > 0.85
            assert set(counted.sent.metrics) <= set(described["metrics"])
            weights = weights + counted.update["numpy_key"]
        assert counted.sent.metrics["auc"] > 0.6  # 0.5 before it was trained
        assert not counted.update["numpy_key"].any()  # in the last round nobody trains
        assert boxed.end()[0] == 0


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders of a hospital's VM that client and container server share."""
    for name in ("box", "work", "answers", "data", "input"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(box, "BOX", tmp_path / "box")
    monkeypatch.setattr(box, "ORDER", tmp_path / "work/box.json")
    monkeypatch.setattr(box, "DONE", tmp_path / "answers/box.json")
    return tmp_path


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine({CLIENT: ContainerState(Running.RUNNING), BOX: ContainerState(Running.STOPPED)})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keeper(shared: Path, engine: FakeEngine, clock: FakeClock) -> BoxKeeper:
    return boxes(shared, engine, clock)


def boxes(shared: Path, engine: FakeEngine, clock: FakeClock, *images: str) -> BoxKeeper:
    """One that has just started, as after a restart of the container server."""
    return BoxKeeper(
        engine=engine,
        clock=clock,
        work=shared / "work",
        answers=shared / "answers",
        box_input=BoxInput(shared / "data", shared / "input"),
        images=images,
        machine=Width(memory_mb=8192, cpus=4),
    )


TABULAR = "tabular@sha256:" + "1" * 64


def with_tabular() -> FakeEngine:
    stopped = ContainerState(Running.STOPPED)
    return FakeEngine({CLIENT: ContainerState(Running.RUNNING), BOX: stopped, f"{BOX}-tabular": stopped})


class TestOrders:
    def test_a_box_starts_with_its_job_and_ends_with_it(self, keeper: BoxKeeper, engine: FakeEngine) -> None:
        box.order(JOB)
        for _ in range(3):
            assert keeper.turn() <= 0.1
        assert engine.actions == [f"start {BOX}"]
        box.order(None)
        keeper.turn()
        assert engine.actions == [f"start {BOX}", f"stop {BOX}"]

    def test_another_job_gets_another_box(self, keeper: BoxKeeper, engine: FakeEngine) -> None:
        for _ in range(2):
            box.order(JOB)
            keeper.turn()
        assert engine.actions == [f"start {BOX}", f"stop {BOX}", f"start {BOX}"]

    def test_whatever_keeps_it_from_starting_is_told_at_once(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client waited three minutes, and its author got no reason."""

        def broken(container: str, limits: Limits) -> None:
            raise KeyError("HostConfig")

        monkeypatch.setattr(engine, "limit", broken)
        box.order(JOB)
        keeper.turn()
        said = json.loads((shared / "answers/box.json").read_text())
        assert said["number"] == json.loads((shared / "work/box.json").read_text())["number"]
        assert said["problem"] == "the box does not start (KeyError): see container-server's log"

    def test_one_that_has_ended_is_not_started_again(self, keeper: BoxKeeper, engine: FakeEngine) -> None:
        box.order(JOB)
        keeper.turn()
        engine.crash(BOX)
        keeper.turn()
        assert engine.actions == [f"start {BOX}"]

    def test_a_client_that_dies_takes_it_along(
        self, keeper: BoxKeeper, engine: FakeEngine, clock: FakeClock
    ) -> None:
        box.order(JOB)
        keeper.turn()
        engine.crash(CLIENT)
        clock.sleep(3)
        keeper.turn()
        assert engine.actions == [f"start {BOX}", f"stop {BOX}"]

    def test_a_restart_of_the_container_server_leaves_it_alone(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine, clock: FakeClock
    ) -> None:
        box.order(JOB)
        keeper.turn()
        boxes(shared, engine, clock).turn()
        assert engine.actions == [f"start {BOX}"]

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{}", '{"number": "1", "job": "x"}', f'{{"number": true, "job": "{JOB}"}}', "x" * 5000],
    )
    def test_an_order_that_is_none_starts_nothing(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine, content: str
    ) -> None:
        (shared / "work/box.json").write_text(content)
        keeper.turn()
        assert not engine.actions

    @pytest.mark.parametrize("job", ["fl-client", "../x", 1, ["x"]])
    def test_an_order_names_a_job_and_nothing_else(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine, job: Any
    ) -> None:
        (shared / "work/box.json").write_text(json.dumps({"number": 5, "job": job, "image": "x"}))
        keeper.turn()
        assert not engine.actions

    def test_a_job_runs_in_the_box_that_its_manifest_names(self, shared: Path, clock: FakeClock) -> None:
        engine = with_tabular()
        keeper = boxes(shared, engine, clock, TABULAR)
        box.order(JOB, box=TABULAR)
        keeper.turn()
        box.order(JOB)
        keeper.turn()
        assert engine.actions == [f"start {BOX}-tabular", f"stop {BOX}-tabular", f"start {BOX}"]
        assert set(engine.limits) == {f"{BOX}-tabular", BOX}

    @pytest.mark.parametrize(
        "image", ["torch@sha256:" + "1" * 64, "tabular@sha256:" + "2" * 64, "tabular", ""]
    )
    def test_a_box_that_the_machines_own_orders_do_not_list_is_not_started(
        self, shared: Path, clock: FakeClock, image: str
    ) -> None:
        """However approved: what approves a job is in the client's reach, the VM's compose file is not."""
        engine = with_tabular()
        keeper = boxes(shared, engine, clock, TABULAR)
        number = box.order(JOB, box=image)
        keeper.turn()
        said = json.loads((shared / "answers/box.json").read_text())
        assert (engine.actions, said["number"]) == ([], number)
        assert said["problem"].startswith("the orders of this machine have no box")

    def test_a_link_in_its_place_is_not_followed(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine
    ) -> None:
        (shared / "order").write_text(json.dumps({"number": 5, "job": JOB}))
        (shared / "work/box.json").symlink_to(shared / "order")
        keeper.turn()
        assert not engine.actions

    def test_a_client_that_starts_has_none(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever ran when the client before it died."""
        box.order(JOB)
        keeper.turn()
        monkeypatch.setattr(start, "WORK", shared / "work")
        monkeypatch.setattr(start, "KIT", shared / "none")
        monkeypatch.setattr(sys, "argv", ["start"])
        with pytest.raises(SystemExit):
            start.main()
        keeper.turn()
        assert engine.actions == [f"start {BOX}", f"stop {BOX}"]

    def test_an_engine_that_does_not_answer_is_asked_again(
        self, keeper: BoxKeeper, engine: FakeEngine, clock: FakeClock
    ) -> None:
        box.order(JOB)
        engine.reachable = False
        keeper.turn()
        engine.reachable = True
        clock.sleep(1)
        keeper.turn()
        assert engine.actions == [f"start {BOX}"]

    def test_an_answer_of_the_engines_that_nobody_foresaw_ends_nothing(
        self, keeper: BoxKeeper, engine: FakeEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        box.order(JOB)
        with monkeypatch.context() as broken:
            broken.setattr(engine, "state", lambda name: {}["State"])
            keeper.turn()
        clock.sleep(1)
        keeper.turn()
        assert engine.actions == [f"start {BOX}"]


class TestInput:
    """What a box sees of the data is what its job's manifest names."""

    @pytest.fixture
    def data(self, shared: Path) -> Path:
        folder = shared / "data"
        (folder / "heart.csv").write_text('age,name,sex\n63,"Ada, née B",1\n41,Bo\n')
        (folder / "scans.bin").write_bytes(b"\x00\xff")
        (folder / "other.csv").write_text("age\n5\n")
        return folder

    def seen(self, shared: Path) -> dict[str, str]:
        return {path.name: path.read_bytes().decode("latin-1") for path in (shared / "input").iterdir()}

    def test_the_columns_of_the_manifest_are_there_and_no_others(
        self, shared: Path, data: Path, keeper: BoxKeeper, engine: FakeEngine
    ) -> None:
        there: list[dict[str, str]] = []
        engine.on_start = lambda name: there.append(self.seen(shared))
        box.order(JOB, {"heart.csv": ("sex", "age", "height"), "../other/x": ["age"]})
        keeper.turn()
        assert there == [{"heart.csv": "age,sex\n63,1\n41,\n"}]  # as the box starts, not later
        assert (shared / "input/heart.csv").stat().st_mode & 0o777 == 0o640

    def test_a_file_that_is_no_table_is_given_whole_where_it_is_named(
        self, shared: Path, data: Path, keeper: BoxKeeper
    ) -> None:
        box.order(JOB, {"scans.bin": []})
        keeper.turn()
        assert self.seen(shared) == {"scans.bin": "\x00\xff"}

    def test_what_is_not_checked_yet_is_given_to_nobody(
        self, shared: Path, data: Path, keeper: BoxKeeper
    ) -> None:
        """It has no ending of a table's, and would be given whole."""
        (data / "heart.csv.new").write_text("age,name\n63,Ada\n")
        box.order(JOB, {"heart.csv.new": []})
        keeper.turn()
        assert not self.seen(shared)

    @pytest.mark.parametrize("separator", [";", "\t"])
    def test_a_table_of_another_form_keeps_it(
        self, shared: Path, data: Path, keeper: BoxKeeper, separator: str
    ) -> None:
        table = "\ufeffage,name\r\n63,Ada\r\n".replace(",", separator)
        (data / "other.csv").write_text(table, encoding="utf-8", newline="")
        box.order(JOB, {"other.csv": ["age", "name"]})
        keeper.turn()
        assert self.seen(shared) == {"other.csv": "age,name\n63,Ada\n".replace(",", separator)}

    def test_nothing_is_left_of_it_when_the_box_has_ended(
        self, shared: Path, data: Path, keeper: BoxKeeper, engine: FakeEngine
    ) -> None:
        for end in (lambda: box.order(None), lambda: engine.crash(CLIENT)):
            engine.start(CLIENT)
            box.order(JOB, {"heart.csv": ["age"]})
            keeper.turn()
            end()
            keeper._next_look = 0.0
            keeper.turn()
            assert not self.seen(shared)

    def test_the_next_job_sees_nothing_of_the_one_before(
        self, shared: Path, data: Path, keeper: BoxKeeper
    ) -> None:
        box.order(JOB, {"heart.csv": ["name"], "scans.bin": []})
        keeper.turn()
        box.order(JOB, {"heart.csv": ["age"]})
        keeper.turn()
        assert self.seen(shared) == {"heart.csv": "age\n63\n41\n"}

    @pytest.mark.parametrize("data_", ["x", ["heart.csv"], {"heart.csv": "name"}, {"heart.csv": [["name"]]}])
    def test_an_order_in_another_form_gives_no_column(
        self, shared: Path, data: Path, keeper: BoxKeeper, data_: Any
    ) -> None:
        (shared / "work/box.json").write_text(json.dumps({"number": 5, "job": JOB, "data": data_}))
        keeper.turn()
        assert "Ada" not in "".join(self.seen(shared).values())

    def test_a_table_that_cannot_be_read_starts_no_box_and_says_so(
        self, shared: Path, data: Path, keeper: BoxKeeper, engine: FakeEngine
    ) -> None:
        (data / "heart.csv").write_text("age\n" + "6" * 200_000)
        box.order(JOB, {"heart.csv": ["age"]})
        keeper.turn()
        assert not engine.actions
        said = json.loads((shared / "answers/box.json").read_text())
        assert said["problem"] == "heart.csv cannot be given to the box: Error"

    def test_another_column_is_an_error_that_says_what_a_box_has(self) -> None:
        told = place({"kind": "KeyError", "file": "job/train.py", "line": 2})
        assert told.startswith("KeyError at job/train.py, line 2; a box has the files and columns alone")
        assert place({"kind": "ValueError"}) == "ValueError"


class TestLimits:
    """What a box may use is for the hospital's officers to say, as far as their machine goes."""

    def given(self, shared: Path, keeper: BoxKeeper, engine: FakeEngine, **limits: Any) -> Limits:
        rules = {"limits": limits} if limits else {}
        answers = {"approved": [], "refused": {}, "rules": rules}
        (shared / "answers/answers.json").write_text(json.dumps(answers))
        box.order(JOB)
        keeper.turn()
        assert engine.actions[-1] == f"start {BOX}"
        return engine.limits[BOX]

    def test_without_a_word_of_theirs_those_of_the_platform_hold(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine
    ) -> None:
        usual = Limits(memory_mb=2048, cpus=None, processes=256, scratch_mb=256)
        assert self.given(shared, keeper, engine) == usual

    def test_theirs_hold_from_the_next_run(self, shared: Path, keeper: BoxKeeper, engine: FakeEngine) -> None:
        wanted = {"memory_mb": 4096, "cpus": 1.5, "processes": 64, "scratch_mb": 32, "seconds": 30}
        assert self.given(shared, keeper, engine, **wanted) == Limits(
            memory_mb=4096, cpus=1.5, processes=64, scratch_mb=32
        )

    def test_none_is_wider_than_the_machine(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine
    ) -> None:
        wide = self.given(shared, keeper, engine, memory_mb=1_000_000, cpus=99, scratch_mb=1_000_000)
        assert (wide.memory_mb, wide.cpus, wide.scratch_mb) == (8192, 4, 8192)

    def test_scratch_is_part_of_the_memory(self, shared: Path, keeper: BoxKeeper, engine: FakeEngine) -> None:
        assert self.given(shared, keeper, engine, memory_mb=512, scratch_mb=1024).scratch_mb == 512

    def test_an_answer_takes_no_longer_than_they_say(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(box_executor, "ANSWERS", tmp_path / "answers.json")
        waited = FakeBox(answered(), answered())
        running = executor(waited, tmp_path)
        running.execute("train", task(), FLContext(), Signal())
        rules = {"limits": {"seconds": 30}}
        answers = {"approved": [], "refused": {}, "rules": rules}
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        running.execute("train", task(1), FLContext(), Signal())
        assert waited.patience == [600, 30]


class TestMeeting:
    def test_the_client_listens_only_once_the_box_before_has_ended(
        self, shared: Path, keeper: BoxKeeper, engine: FakeEngine
    ) -> None:
        """The box before sees the same folder: it could connect, and answer for the next job."""
        there: list[bool] = []
        engine.on_start = lambda name: there.append((shared / "box/socket").exists())
        box.order(JOB)
        waited: list[None] = []

        def stop() -> bool:
            waited.append(None)
            if len(waited) == 3:
                keeper.turn()
            if len(waited) == 6:
                self.connect(shared)
            return False

        box.Box.meet(stop).close()
        assert there == [False]

    def connect(self, shared: Path) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(shared / "box/socket"))

    def test_the_boxs_group_may_connect_and_nobody_else(self, shared: Path, keeper: BoxKeeper) -> None:
        box.order(JOB)
        keeper.turn()

        def stop() -> bool:
            if (shared / "box/socket").exists():
                assert (shared / "box/socket").stat().st_mode & 0o777 == 0o660
                self.connect(shared)
            return False

        box.Box.meet(stop).close()

    def test_the_reason_why_there_is_none_is_told(self, shared: Path) -> None:
        number = box.order(JOB)
        (shared / "answers/box.json").write_text(json.dumps({"number": number, "problem": "no image"}))
        with pytest.raises(NoBoxError, match="no image"):
            box.Box.meet(lambda: False)

    def test_a_job_that_is_stopped_waits_no_longer(self, shared: Path) -> None:
        box.order(JOB)
        with pytest.raises(NoBoxError, match="stopped"):
            box.Box.meet(lambda: True)

    def test_the_box_reads_the_newest_jobs_code_alone(self, shared: Path) -> None:
        (shared / "box/code").mkdir()
        (shared / "box/code/earlier.py").write_text("")
        (shared / "app/code/job").mkdir(parents=True)
        (shared / "app/code/job/train.py").write_text("print()")
        (shared / "client.key").write_text("key")
        for unapproved in (".__nvfl_sig.json", "job/.__nvfl_submitter.crt"):
            (shared / "app/code" / unapproved).write_text("what no checksum counts")
        (shared / "app/code/job/key").symlink_to(shared / "client.key")
        (shared / "app/code/all").symlink_to(shared)
        assert box.put_code(shared / "app/code")
        assert [path.name for path in (shared / "box/code").rglob("*")] == ["job", "train.py"]
        assert (shared / "box/code/job").stat().st_mode & 0o777 == 0o750
        assert (shared / "box/code/job/train.py").stat().st_mode & 0o777 == 0o640

    def test_a_job_without_code_has_no_box(self, shared: Path) -> None:
        (shared / "box/code").mkdir()
        (shared / "app/config").mkdir(parents=True)
        assert not box.put_code(shared / "app/code")
        assert not (shared / "box/code").exists()
