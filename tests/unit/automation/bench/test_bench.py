"""The benchmark: what it makes of figures, what it shows, and that it counts what a command really uses."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from automation.bench import measure, plot, report, sizes
from automation.bench.measure import Cost, measured
from automation.bench.results import Machine, Results, exponent, targets
from automation.bench.sizes import Row
from automation.commands import bench
from automation.ui.outcome import FedError, QuestionError
from federation.stack_file import load_stack


def cost(wall: float, peak: float = 100.0) -> Cost:
    return Cost(wall=wall, cpu=wall / 2, peak=peak, shares={"engine": wall / 4})


def row(program: str, hospitals: int, step: str, wall: float, resources: int = 10) -> Row:
    return Row(program=program, hospitals=hospitals, step=step, resources=resources, cost=cost(wall))


def results(*rows: Row) -> Results:
    machine = Machine(
        at="2026-12-01", cores=2, memory_gib=24, cpu="a", load=0, command="./fed bench", commit="abc"
    )
    return Results(machine=machine, rows=rows, seconds=60)


class TestGrowth:
    @pytest.mark.parametrize(("power", "expected"), [(1.0, 1.0), (2.0, 2.0), (0.0, 0.0)])
    def test_is_the_power_of_the_size(self, power: float, expected: float) -> None:
        assert exponent((size, 3 * size**power) for size in (10, 30, 100)) == pytest.approx(expected)

    def test_of_one_size_cannot_be_told(self) -> None:
        assert exponent([(10, 1.0), (10, 2.0)]) is None


class TestTargets:
    def found(self, what: str, *rows: Row) -> bool | None:
        (target,) = [each for each in targets(results(*rows)) if each.what == what]
        return target.holds

    @pytest.mark.parametrize(("seconds", "holds"), [(24.9, True), (25.1, False)])
    def test_seconds_are_for_a_hundred_hospitals(self, seconds: float, holds: bool) -> None:
        assert self.found("preview, 100 hospitals", row("fed", 100, "preview", seconds)) is holds

    def test_what_was_not_measured_neither_holds_nor_misses(self) -> None:
        assert self.found("preview, 100 hospitals", row("fed", 30, "preview", 1)) is None

    @pytest.mark.parametrize(("floor", "holds"), [(10.0, True), (6.0, False)])
    def test_a_preview_is_compared_with_the_floor_of_the_same_size(self, floor: float, holds: bool) -> None:
        what = "preview against the engine's floor"
        rows = [
            row("fed", 30, "preview", 10),
            row("floor", 3, "preview", 1),
            row("floor", 30, "preview", floor),
        ]
        assert self.found(what, *rows) is holds

    @pytest.mark.parametrize(("ten", "holds"), [(13.0, True), (15.0, False)])
    def test_a_round_is_one_of_nine_more_so_that_starting_counts_for_nothing(
        self, ten: float, holds: bool
    ) -> None:
        what = "a round of heart against NVFlare's simulator"
        rows = [
            *(row("fed", 3, "train, 10 rounds", ten), row("fed", 3, "train, 1 round", 3)),
            *(row("simulator", 3, "train, 10 rounds", 20), row("simulator", 3, "train, 1 round", 11)),
        ]
        assert self.found(what, *rows) is holds


class TestPage:
    whole = results(
        *(row(program, size, "preview", size / 10) for size in (3, 10, 30) for program in ("fed", "floor")),
        row("fed", 30, "second up", 4),
        row("simulator", 3, "train, 10 rounds", 12, resources=0),
    )

    def test_has_each_figure_and_says_what_is_missing(self) -> None:
        page = report.markdown(self.whole, "performance.svg")
        assert "| fed: preview | 0.3 (0.1), 100 | 1.0 (0.5), 100 | 3.0 (1.5), 100 | 1.00 | 0.00 |" in page
        assert "| fed: second up |  |  | 4.0 (2.0), 100 |" in page
        assert "| preview, 100 hospitals | at most 25 s | not measured |" in page
        assert "| NVFlare's simulator: train, 10 rounds | 12.0 |" in page
        assert "](performance.svg)" in page

    def test_a_preview_which_makes_nothing_is_among_the_steps_and_not_with_the_machines(self) -> None:
        shown = report.markdown(results(row("fed", 3, "preview", 1, resources=0)))
        assert "With machines" not in shown and "| preview | 0.2 |" in shown

    def test_every_table_has_as_many_cells_in_each_row(self) -> None:
        tables = [[]]  # type: list[list[str]]
        for line in report.markdown(self.whole).splitlines():
            tables[-1].append(line) if line.startswith("|") else tables.append([])
        widths = [{line.strip().count("|") for line in table} for table in tables if table]
        assert all(len(width) == 1 for width in widths) and len(widths) == 4

    def test_the_picture_is_well_formed_and_has_a_line_for_each_step(self) -> None:
        root = ElementTree.fromstring(plot.plot(self.whole))  # noqa: S314 our own
        assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 3


class TestMeasured:
    def start(self, folder: Path, script: str) -> "Callable[[], subprocess.Popen[str]]":
        words = [sys.executable, "-c", script]
        pipe = subprocess.PIPE
        return lambda: subprocess.Popen(words, cwd=folder, stdout=pipe, stderr=pipe, text=True)

    def test_counts_the_memory_of_a_commands_children(self, tmp_path: Path) -> None:
        child = "held = bytearray(300 << 20); import time; time.sleep(1.5)"
        script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
        assert 300 < measured(self.start(tmp_path, script), tmp_path).peak < 600

    def test_counts_the_cpu_of_a_commands_children(self, tmp_path: Path) -> None:
        child = "import time; end = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
        script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
        found = measured(self.start(tmp_path, script), tmp_path)
        assert 0.6 <= found.cpu < 5 and found.wall > 0.5

    def test_a_command_that_fails_ends_the_benchmark_with_its_last_words(self, tmp_path: Path) -> None:
        with pytest.raises(FedError, match=r"ended with 1:\nno more disk"):
            measured(self.start(tmp_path, "raise SystemExit('no more disk')"), tmp_path)

    def test_one_that_does_not_end_is_not_awaited_for_the_sake_of_its_children(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(measure, "PATIENCE", 2.0)
        script = "import subprocess, sys; sys.stderr.write('stuck'); sys.stderr.flush(); "
        script += "subprocess.run(['sleep', '20'], check=True)"
        began = time.monotonic()
        with pytest.raises(FedError, match=r"did not end within 2 s:\nstuck"):
            measured(self.start(tmp_path, script), tmp_path)
        assert time.monotonic() - began < 15


class TestSizes:
    def test_a_federation_of_a_thousand_is_one_that_the_settings_take(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ruamel.yaml import YAML  # noqa: PLC0415

        yaml = YAML()
        content = yaml.load(Path("Pulumi.dev.yaml"))
        sizes.fill(content, hospitals=150)
        with (tmp_path / "Pulumi.dev.yaml").open("w") as file:
            yaml.dump(content, file)
        settings = load_stack(tmp_path, "dev")
        assert len(settings.hospitals) == 150

    @pytest.mark.parametrize("text", ["", "0", "3,,10", "1001", "three"])
    def test_wrong_sizes_are_refused_before_anything_starts(self, text: str) -> None:
        with pytest.raises(QuestionError, match="no list of numbers"):
            bench._sizes(text)

    def test_sizes_are_measured_from_small_to_large_and_once(self) -> None:
        assert bench._sizes("30, 3,3") == [3, 30]
