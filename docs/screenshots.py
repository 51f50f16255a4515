"""The pictures of docs/page.md: the page of a study of the store, in Debian's chromium.

    python docs/screenshots.py [STUDY]

Needs chromium and the ``dev`` extra. Real studies only: a picture in the documents shows what was measured.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from orchestrator.report.page import study_page
from orchestrator.report.page.data import collect
from orchestrator.report.page.pictures import pictures
from orchestrator.settings import Settings
from orchestrator.store import Store

HERE = Path(__file__).parent
WINDOWS = {
    "page": {"viewport": {"width": 1100, "height": 1440}},
    "page-phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


def main(study: str | None) -> None:
    """Write the page of a study and take its pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    settings = Settings.load()
    store = Store.open(settings.store, create=False)
    data = collect(store, study, "http://127.0.0.1:5000")
    if data.simulated:
        sys.exit(f"study {data.name} has simulated data; give the name of a real one")
    html = study_page(data, pictures(store, settings, data.name), protocol="final")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in WINDOWS:
            print(shoot(browser, path, name))


def shoot(browser: Browser, page_file: Path, name: str) -> Path:
    """Take one picture and return where it is."""
    page = browser.new_context(**WINDOWS[name]).new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    picture = HERE / f"{name}.png"
    page.screenshot(path=picture)
    return picture


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
