"""The local pages in a real browser: they draw, complain of nothing, ask nobody, and serve everybody."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from automation.machine import browser as machine
from dashboards.local.content import PAGES
from dashboards.local.render import render
from tests.unit.support import curation_world as world
from tests.unit.support.curated_pages import files_of, tables_folder

PATIENCE = 180_000
"""Milliseconds after which anything here has failed."""
PARTIES = {"centre": "centre", "hungary": "hospital"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    tables = tables_folder(folder)
    for party in PARTIES:
        (folder / f"{party}.html").write_text(render(files_of(tables, party), party))
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Raises FedError, with the fix, where there is no browser and none may be installed."""
    program = machine.require()
    with sync_playwright() as playwright:
        # Without its own sandbox: it is root in CI, and shows only the pages made here.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def patient(page: Page) -> Page:
    """The page, with the patience that a machine needs which does ten other things."""
    page.set_default_timeout(PATIENCE)
    page.set_default_navigation_timeout(PATIENCE)
    return page


def new_page(browser: Browser, **options: Any) -> Page:
    return patient(browser.new_page(**options))


class Seen:
    """A page and whatever it said or asked for."""

    def __init__(self, context: BrowserContext, address: str):
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page: Page = patient(context.new_page())
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(address)

    def _console(self, message: ConsoleMessage) -> None:
        self.said.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.asked.append(request.url)


@pytest.fixture(params=["light", "dark"])
def context(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    made = chromium.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 900})
    yield made
    made.close()


def names_of(party: str) -> list[str]:
    return [page["name"] for page in PAGES[PARTIES[party]]]


def turn_to(page: Page, name: str) -> None:
    page.evaluate(f"location.hash = '#{name}'")
    page.wait_for_selector(f"#{name}:visible")
    assert page.locator(".page:visible").count() == 1


def drawn(page: Page) -> list[dict[str, Any]]:
    """The charts in sight, each with the data that plotly holds."""
    found: list[dict[str, Any]] = page.eval_on_selector_all(
        ".chart",
        "all => all.filter(one => one.offsetParent).map(one => ({key: one.dataset.chart, traces:"
        " one.data ? one.data.length : 0, marks: one.querySelectorAll('.main-svg path').length}))",
    )
    return found


@pytest.mark.parametrize("party", PARTIES)
def test_pages_draw_say_nothing_and_ask_nobody(context: BrowserContext, site: Path, party: str) -> None:
    seen = Seen(context, f"{site.as_uri()}/{party}.html")
    for name in names_of(party):
        turn_to(seen.page, name)
        for chart in drawn(seen.page):
            assert chart["traces"] and chart["marks"], chart
    assert (seen.said, seen.asked) == ([], [])


@pytest.mark.parametrize("party", PARTIES)
def test_pages_serve_people_who_do_not_see_or_have_no_mouse(
    chromium: Browser, site: Path, party: str
) -> None:
    page = new_page(chromium, viewport={"width": 1280, "height": 900}, color_scheme="light")
    # Axe is brought from outside the page's content policy, as an extension would be.
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    page.goto(f"{site.as_uri()}/{party}.html")
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    for name in names_of(party):
        turn_to(page, name)
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
    page.click("#theme")  # dark differs in its colours alone
    for name in names_of(party):
        turn_to(page, name)
        results = Axe().run(page, options={"runOnly": ["color-contrast"]})
        assert results.violations_count == 0, results.generate_report()
    page.close()


def test_keyboard_reaches_every_page(chromium: Browser, site: Path) -> None:
    page = new_page(chromium)
    page.goto(f"{site.as_uri()}/centre.html")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.hash || document.activeElement.id"))
    assert [f"#{described['name']}" for described in PAGES["centre"]] == [
        one for one in reached if one.startswith("#") and one != "#main"
    ]
    page.locator("nav a").nth(2).press("Enter")
    page.wait_for_selector("#hospitals:visible")
    assert page.locator(".page:visible").get_attribute("id") == "hospitals"
    page.close()


@pytest.mark.parametrize("name", ["hospitals", "statistics"])
def test_page_that_is_opened_by_its_address_begins_at_its_top(
    chromium: Browser, site: Path, name: str
) -> None:
    page = new_page(chromium, viewport={"width": 1180, "height": 500})
    page.goto(f"{site.as_uri()}/centre.html#{name}")
    page.wait_for_timeout(100)
    assert page.evaluate("scrollY") == 0
    page.close()


@pytest.mark.parametrize("party", PARTIES)
def test_a_phone_shows_every_page_and_tables_move_within_their_card(
    chromium: Browser, site: Path, party: str
) -> None:
    page = new_page(chromium, viewport={"width": 390, "height": 844})
    page.goto(f"{site.as_uri()}/{party}.html")
    for name in names_of(party):
        turn_to(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
        cut = page.eval_on_selector_all(
            "table",
            """all => all.filter(one => one.offsetParent && one.getBoundingClientRect().right > innerWidth)
                .filter(one => { for (let up = one.parentElement; up; up = up.parentElement)
                    if (up.scrollWidth > up.clientWidth && /auto|scroll/.test(getComputedStyle(up).overflowX))
                        return false;
                    return true; }).map(one => one.textContent.slice(0, 60))""",
        )
        assert cut == [], name
    page.close()


def test_choice_changes_chart_and_table(chromium: Browser, site: Path) -> None:
    page = new_page(chromium)
    page.goto(f"{site.as_uri()}/hungary.html#compare")
    page.select_option("#compare-choice", "Cholesterol")
    keys = [chart["key"] for chart in drawn(page)]
    assert keys == ["compare/shape/Cholesterol", "compare/drift/Cholesterol"]
    rows = page.locator("#compare table:visible tbody tr th").all_inner_texts()
    assert set(rows) == {"Cholesterol"}
    page.close()


def test_table_is_saved_as_it_is_read_and_no_text_of_it_is_a_formula(
    chromium: Browser, tmp_path: Path
) -> None:
    content = world.everything()
    content["runs"][1]["job"] = "=1+1"
    folder = tables_folder(tmp_path, content)
    (tmp_path / "hungary.html").write_text(render(files_of(folder, "hungary"), "hungary"))
    page = new_page(chromium)
    page.goto(f"{tmp_path.as_uri()}/hungary.html#models")
    with page.expect_download() as saved:
        page.locator("#models .visual.table .save").click()
    assert saved.value.suggested_filename == "hungary-models-every-version-on-our-patients.csv"
    heading, line = list(csv.reader(saved.value.path().read_text(encoding="utf-8-sig").splitlines()))
    assert heading[:2] == ["Run", "C-Statistic"]
    assert line[0].startswith("'=1+1 1, ")
    assert line[1] == f"{content['runs'][1]['progress']['history'][-1]['sites']['hungary']['auc']:.3f}"
    page.close()


def test_table_is_sorted_by_the_column_that_a_reader_chooses(chromium: Browser, site: Path) -> None:
    page = new_page(chromium)
    page.goto(f"{site.as_uri()}/centre.html#hospitals")
    table = page.locator("#hospitals .visual.table table:visible")
    numbers = {}
    for direction in ("ascending", "descending"):
        table.get_by_role("button", name="C-Statistic", exact=True).click()
        column = page.locator(f"#hospitals th[aria-sort={direction}]")
        assert column.inner_text().startswith("C-Statistic")
        numbers[direction] = [
            float(text) for text in table.locator("tbody td:nth-child(3)").all_inner_texts()
        ]
    assert numbers["ascending"] == sorted(numbers["ascending"])
    assert numbers["descending"] == sorted(numbers["ascending"], reverse=True)
    page.close()


def test_reader_may_choose_light_or_dark(chromium: Browser, site: Path) -> None:
    page = new_page(chromium, color_scheme="light")
    page.goto(f"{site.as_uri()}/hungary.html")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.click("#theme")
    assert page.evaluate(background) != light
    page.close()


def test_print_has_every_page_and_its_charts(chromium: Browser, site: Path) -> None:
    page = new_page(chromium)
    page.goto(f"{site.as_uri()}/centre.html")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".page:visible").count() == len(PAGES["centre"])
    assert all(chart["marks"] for chart in drawn(page))
    assert len(page.pdf()) > 20_000
    page.close()


def test_without_script_every_number_is_there(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = patient(context.new_page())
    page.goto(f"{site.as_uri()}/centre.html")
    assert page.locator(".page:visible").count() == len(PAGES["centre"])
    context.close()
