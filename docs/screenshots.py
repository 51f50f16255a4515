"""The pictures of docs/page.md: page, terminal and MLflow of a study of the store, in Debian's chromium.

    python docs/screenshots.py [STUDY]

Needs chromium and the ``dev`` extra. Real studies only: a picture in the documents shows what was measured.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from orchestrator.report.page import study_page
from orchestrator.report.page.data import collect
from orchestrator.report.page.pictures import pictures
from orchestrator.report.summary import layout_of
from orchestrator.report.table import build_table
from orchestrator.report.terminal import print_table
from orchestrator.settings import Settings
from orchestrator.store import Store

HERE = Path(__file__).parent
WINDOWS = {
    "page": {"viewport": {"width": 1100, "height": 1440}},
    "page-phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
SETTLED = 5000  # milliseconds that MLflow's view takes to draw


def main(name: str | None) -> None:
    """Take the pictures of a study, by default the newest."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    settings = Settings.load()
    store = Store.open(settings.store, create=False)
    data = collect(store, name, "http://127.0.0.1:5000")
    if data.simulated:
        sys.exit(f"study {data.name} has simulated data; give the name of a real one")
    html = study_page(data, pictures(store, settings, data.name), protocol="final")
    print(terminal(store, data.name))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for window in WINDOWS:
            print(shoot(browser, path, window))
        with served() as address:
            print(shoot_mlflow(browser, address, settings.mlflow, data.name))


def terminal(store: Store, name: str) -> Path:
    """Draw what ``report --protocol both`` prints of a study's first table."""
    study_id, _ = store.find_study(name)
    cells = store.cells(study_id)
    values = [value for value in cells if value.table == cells[0].table]
    table = build_table(values, protocol="both", study=name, layout=layout_of(cells[0].table))
    console = Console(record=True, width=150, file=io.StringIO(), markup=False, emoji=False, highlight=False)
    print_table(table, console)
    picture = HERE / "terminal.svg"
    console.save_svg(str(picture), title=f"dvta-orch report --study {name} --protocol both")
    return picture


def shoot(browser: Browser, page_file: Path, name: str) -> Path:
    """Take one picture of the page and return where it is."""
    page = browser.new_context(**WINDOWS[name]).new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    picture = HERE / f"{name}.png"
    page.screenshot(path=picture)
    return picture


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve MLflow's UI of the settings' runs while this is entered; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from orchestrator.cli.main import app; app()",
        "ui",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > until or server.poll() is not None:
                    sys.exit("MLflow's UI does not answer")
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def shoot_mlflow(browser: Browser, address: str, uri: str, study: str) -> Path:
    """Take the picture of a study's best run in MLflow's UI."""
    experiment = MlflowClient(uri).get_experiment_by_name(study)
    if experiment is None:
        sys.exit(f"MLflow has no study {study}; copy it with: dvta-orch mirror")
    best = MlflowClient(uri).search_runs(
        [experiment.experiment_id], order_by=["metrics.final_accuracy DESC"], max_results=1
    )[0]
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    runs = f"{address}/#/experiments/{experiment.experiment_id}/runs"
    page.goto(f"{runs}/{best.info.run_id}/model-metrics?workflowType=machine_learning")
    page.get_by_text(best.info.run_name).first.wait_for(timeout=60_000)
    page.wait_for_timeout(SETTLED)
    picture = HERE / "mlflow.png"
    page.screenshot(path=picture)
    return picture


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
