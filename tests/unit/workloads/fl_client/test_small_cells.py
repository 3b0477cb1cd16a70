"""Small numbers of patients never leave a hospital, nor can be worked out from what does."""

from pathlib import Path

import pytest
from fed_site.small_cells import gives_away_few, hide, spread
from fed_site.start import registered, workspace
from hypothesis import given
from hypothesis import strategies as st

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=20)
K = 5


class TestHidden:
    def test_large_cells_stay(self) -> None:
        assert hide([0, 12, 30, 5], K) == [0, 12, 30, 5]

    def test_a_small_cell_takes_its_smallest_neighbour_with_it(self) -> None:
        assert hide([1, 12, 47, 68], K) == [0, 0, 47, 68]

    @given(COUNTS)
    def test_no_visible_cell_is_small(self, counts: list[int]) -> None:
        assert not [count for count in hide(counts, K) if 0 < count < K]

    @given(COUNTS)
    def test_what_is_hidden_cannot_be_worked_out_from_the_total(self, counts: list[int]) -> None:
        shown = hide(counts, K)
        hidden = [count for count, seen in zip(counts, shown, strict=True) if count != seen]
        everything = not any(shown)
        assert not hidden or everything or (len(hidden) >= 2 and sum(hidden) >= K)

    @given(COUNTS)
    def test_a_cell_is_shown_as_it_is_or_not_at_all(self, counts: list[int]) -> None:
        assert all(seen in (0, count) for count, seen in zip(counts, hide(counts, K), strict=True))


class TestSpread:
    def test_small_neighbours_are_joined(self) -> None:
        assert spread([2, 3, 0, 10], K) == [2.5, 2.5, 0, 10]

    def test_a_small_end_joins_the_group_before(self) -> None:
        assert spread([10, 2], K) == [6, 6]

    def test_too_few_altogether_are_nothing(self) -> None:
        assert spread([1, 2, 1], K) == [0, 0, 0]

    @given(COUNTS)
    def test_the_sum_is_kept_or_all_is_withheld(self, counts: list[int]) -> None:
        total = sum(counts)
        assert sum(spread([float(count) for count in counts], K)) == pytest.approx(total if total >= K else 0)

    @given(COUNTS)
    def test_equal_runs_hold_none_or_enough(self, counts: list[int]) -> None:
        shared = spread([float(count) for count in counts], K)
        runs: list[list[float]] = []
        for value in shared:
            if runs and abs(runs[-1][0] - value) < 1e-9:
                runs[-1].append(value)
            else:
                runs.append([value])
        assert all(sum(run) == 0 or sum(run) > K - 1e-6 for run in runs)


class TestSums:
    @pytest.mark.parametrize(
        ("count", "total", "few"),
        [
            (100, 3, True),
            (100, 97, True),
            (100, 5, False),
            (100, 95, False),
            (100, 0, False),
            (100, 100, False),
        ],
    )
    def test_the_sum_of_an_indicator_is_a_count_of_patients(self, count: int, total: int, few: bool) -> None:
        assert gives_away_few(count, total, K) is few

    @pytest.mark.parametrize("total", [5400.0, 2.5, -3.0])
    def test_other_sums_are_not(self, total: float) -> None:
        assert not gives_away_few(100, total, K)


class TestStart:
    def test_health_is_the_servers_answer_not_the_process(self, tmp_path: Path) -> None:
        assert not registered(tmp_path, 100.0)
        (tmp_path / "health.json").write_text('{"registered": 1, "heard": 80}')
        assert registered(tmp_path, 100.0)
        assert not registered(tmp_path, 111.0)

    @pytest.mark.parametrize("content", ["", "{}", '{"heard": null}', "[]"])
    def test_a_broken_file_is_not_health(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "health.json").write_text(content)
        assert not registered(tmp_path, 100.0)

    def test_what_a_job_did_to_its_copy_of_the_kit_is_gone_at_the_next_start(self, tmp_path: Path) -> None:
        for part in ("startup", "local"):
            (tmp_path / "kit" / part).mkdir(parents=True)
            (tmp_path / "kit" / part / "file").write_text("right")
        folder = workspace(tmp_path / "kit", tmp_path / "work")
        (folder / "local/file").write_text("wrong")
        (folder / "local/custom").mkdir()
        workspace(tmp_path / "kit", tmp_path / "work")
        assert (folder / "local/file").read_text() == "right"
        assert not (folder / "local/custom").exists()
