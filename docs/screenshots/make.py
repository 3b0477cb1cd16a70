"""Takes the pictures of the local dashboards that README.md and docs/dashboards.md show.

After `./fed up`, `./fed train` and `./fed dashboards`, from the repository's root:

    .venv/bin/python docs/screenshots/make.py .fed/dashboards/dev
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import sync_playwright

from automation.machine import browser

HERE = Path(__file__).parent
PICTURES = {
    "centre-overview": ("centre", "overview", "light"),
    "centre-hospitals": ("centre", "hospitals", "light"),
    "centre-statistics": ("centre", "statistics", "dark"),
    "hospital-overview": ("va-long-beach", "overview", "light"),
    "hospital-compare": ("va-long-beach", "compare", "light"),
    "hospital-models": ("va-long-beach", "models", "dark"),
    "hospital-curves": ("va-long-beach", "curves", "light"),
}
"""File -> party, page, light or dark."""


def main(pages: Path) -> None:
    """Picture each page of `pages`, a folder that `./fed dashboards` made."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.require(), args=["--no-sandbox"])
        for name, (party, page, scheme) in PICTURES.items():
            tab = chromium.new_page(viewport={"width": 1180, "height": 700}, color_scheme=scheme)
            tab.goto(f"{pages.resolve().as_uri()}/{party}.html#{page}")
            tab.wait_for_function(
                "[...document.querySelectorAll('.chart')].every(c => !c.offsetParent || c.data)"
            )
            tab.screenshot(path=HERE / f"{name}.png")
            tab.close()
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
