"""Prefect's page in a real browser: a training is started from its form, seen to its end, and its MLflow run is opened."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tasks.profile import Profile
from tests.apps.conftest import CHROMIUM
from tests.flows.test_serve import Served, end_all, free_ports, ready, start

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        CHROMIUM is None, reason="NO CHROMIUM: Prefect's forms are NOT tested in a browser; apt-get install chromium"
    ),
]
PATIENCE = 300_000  # ms


@pytest.fixture
def served(make_profile: Callable[..., Profile], tmp_path: Path) -> Iterator[Served]:
    """`make ui` on a profile whose experiments train in a second, and nothing of which is scheduled."""
    folder = make_profile(epochs=1).folder
    never = {"--every": 100000, "--sweep-every": 100000, "--folder": tmp_path}
    started = start(folder, tmp_path / "prefect", free_ports(2), **never)
    try:
        ready(started)
        yield started
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(120) == 0
    finally:
        end_all(started)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield page
        browser.close()


def test_a_training_is_started_from_its_form_and_its_mlflow_run_is_opened(served: Served, page: Page) -> None:
    address = served.prefect.removesuffix("/api")
    page.goto(f"{address}/deployments")
    # The page shows ten of them.
    page.get_by_placeholder("Search deployments").fill("train")
    deployment = page.locator("a[href*='/deployments/deployment/']").filter(has_text="train").first.get_attribute("href")
    page.goto(f"{address}{deployment}/run")
    experiment = page.locator("form .p-select").first
    experiment.click()
    page.keyboard.press("ArrowDown")
    options = page.locator(".p-select-option")
    expect(options.first).to_have_text("classes")
    options.filter(has_text="pairs").first.click()
    expect(experiment).to_contain_text("pairs")
    # A click beside the list closes it, and does nothing else.
    expect(options.first).to_be_hidden()
    with page.expect_response(lambda response: response.url.endswith("/create_flow_run")):
        page.get_by_role("button", name="Submit").click()

    page.locator("a[href*='/runs/flow-run/']").first.click()
    expect(page.get_by_text("Completed").first).to_be_visible()
    page.get_by_text("Artifacts", exact=True).first.click()
    page.locator("a[href*='/artifacts/']").filter(has_text="mlflow-pairs-seed-0").first.click()
    link = page.locator(f"a[href^='{served.mlflow}/']").first.get_attribute("href")
    assert link is not None
    page.goto(link)
    expect(page.get_by_text("pairs-seed-0").first).to_be_visible()
