"""A deployment's times: the chain that it waited for, the picture of it, the file between two commands."""

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from automation.timeline import page, run
from automation.timeline.critical_path import critical_path, length
from automation.timeline.run import Run, Step
from automation.ui.outcome import FedError, RefusedError


def step(name: str, began: float, ended: float, *after: str, party: str = "centre") -> Step:
    return Step(
        urn=f"urn:{name}",
        name=name,
        type="network:VirtualNetwork",
        party=party,
        done="created",
        began=began,
        ended=ended,
        after=tuple(f"urn:{other}" for other in after),
    )


SLOW_BRANCH = (
    step("group", 0, 1),
    step("vault", 1, 7, "group"),
    step("network", 1, 3, "group", party="cleveland"),
    step("peering", 3.5, 8, "network", "group", party="cleveland"),
)
RUN = Run(stack="dev", on="emulator", at=dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC), steps=SLOW_BRANCH)


class TestCriticalPath:
    def test_is_the_longest_chain_not_the_longest_resource(self) -> None:
        chain = critical_path(SLOW_BRANCH)
        assert [each.name for each in chain] == ["group", "network", "peering"]
        assert length(chain) == pytest.approx(1 + 2 + 4.5)

    def test_leaves_out_time_in_which_nothing_was_done(self) -> None:
        assert length(critical_path([step("a", 0, 1), step("b", 9, 10, "a")])) == pytest.approx(2)

    def test_passes_over_a_dependency_that_did_not_change(self) -> None:
        assert [each.name for each in critical_path([step("b", 0, 1, "unchanged")])] == ["b"]

    def test_of_nothing_is_nothing(self) -> None:
        assert critical_path([]) == []


class TestPage:
    def test_has_a_bar_for_each_resource_and_marks_the_path(self) -> None:
        html = page.render(RUN)
        assert len(re.findall(r'<rect class="path"', html)) == 3
        assert len(re.findall(r'<rect class="bar"', html)) == 1 + len({"centre", "cleveland"})

    def test_names_are_text_never_markup(self) -> None:
        html = page.render(RUN.model_copy(update={"steps": (step("<script>alert(1)</script>", 0, 1),)}))
        assert "<script>" not in html and "&lt;script&gt;" in html

    def test_a_large_run_shows_its_path_and_says_what_it_left_out(self) -> None:
        many = tuple(step(f"r{number}", 0, 1) for number in range(1500))
        html = page.render(RUN.model_copy(update={"steps": (*many, *SLOW_BRANCH)}))
        assert "1501 others" in html and html.count("<rect") == 3 + 2

    def test_asks_for_nothing_from_anywhere(self) -> None:
        links: list[str] = []

        class Links(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                links.extend(name for name, _ in attrs if name in {"src", "href"})

        Links().feed(page.render(RUN))
        assert links == []

    def test_a_party_reaches_from_its_first_resource_to_its_last(self) -> None:
        (centre, cleveland) = page.lanes(SLOW_BRANCH)
        assert (centre.party, centre.began, centre.ended, centre.resources) == ("centre", 0, 7, 2)
        assert (cleveland.party, cleveland.began, cleveland.ended) == ("cleveland", 1, 8)


class TestKept:
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("clone.paths.home", lambda: tmp_path)

    def test_is_gone_with_the_stack(self, tmp_path: Path) -> None:
        RUN.keep()
        run.page("dev", "emulator").write_text("a picture")
        other = RUN.model_copy(update={"on": "azure"})
        other.keep()
        run.forget("dev", "emulator")
        assert [file.name for file in (tmp_path / "timelines").iterdir()] == ["dev-azure.json"]
        run.forget("dev", "azure")
        run.forget("dev", "azure")
        assert list(tmp_path.iterdir()) == []

    def test_the_next_command_reads_what_was_kept(self) -> None:
        RUN.keep()
        assert run.last("dev", "emulator") == RUN

    def test_a_run_that_changed_nothing_leaves_the_one_before(self) -> None:
        RUN.keep()
        RUN.model_copy(update={"steps": ()}).keep()
        assert run.last("dev", "emulator") == RUN

    def test_without_a_run_says_what_to_do(self) -> None:
        with pytest.raises(RefusedError, match=r"Fix: \./fed up mvp --on azure"):
            run.last("mvp", "azure")

    def test_a_damaged_file_is_named(self) -> None:
        RUN.keep()
        (file,) = (run.page("dev", "emulator").parent).glob("*.json")
        file.write_text("{}")
        with pytest.raises(FedError, match=f"Fix: rm {file}"):
            run.last("dev", "emulator")
