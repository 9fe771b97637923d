"""The page for people in a real browser: Debian's Chromium, headless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from model_store.versions.manifest import PlainProbeResult
from tests.support import REPOSITORY
from tests.support.service.command_line import Shop
from tests.support.service.running import exact_scorer, with_probes
from tests.support.tiny_model import build_tiny_store, publish_tiny_version

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.long

ARTEFACTS = REPOSITORY / "var" / "screenshots"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
KEY, ADMIN = "a-key-of-the-shop", "a-key-of-its-admin"
PRODUCTS = ["usb c cable 2 m", "red sofa", "<img src=x onerror=alert(1)>", "tea", "a 4k tv"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("console")
    store = build_tiny_store(folder, ("us", "es"))
    publish_tiny_version(folder / "beside", folder / "encoder", ("us", "es"), seed=1)
    probes = with_probes(exact_scorer(folder / "beside")).manifest.probe_pairs
    plain = {
        name: PlainProbeResult(language="en", probes=40, digest="d", share=share, untrained=0.9)
        for name, share in (("us", 0.95), ("es", 0.9))
    }
    publish_tiny_version(
        store, folder / "encoder", ("us", "es"), seed=1, parent=1, probe_pairs=probes, plain_probes=plain
    )
    shop = Shop.in_folder(folder, store)
    shop = Shop(shop.folder, {**shop.settings, "API_KEYS": KEY, "ADMIN_KEYS": ADMIN})
    with shop.serving() as server:
        assert server.first_line.startswith("ready: ")
        yield server.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Debian's chromium is not installed: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["desktop-light", "phone-dark"])
def page(browser: Browser, url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    phone = request.param == "phone-dark"
    context = browser.new_context(
        viewport={"width": 360, "height": 740} if phone else {"width": 1100, "height": 900},
        color_scheme="dark" if phone else "light",
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
    page.on(
        "request", lambda asked: problems.append(asked.url) if not asked.url.startswith((url, "data:")) else None
    )
    page.goto(url)
    # The page opens the field itself once the service has asked for a key.
    page.get_by_label("API key").fill(ADMIN)
    page.get_by_label("API key").press("Tab")
    page.get_by_text("Version 2 · us, es").wait_for()
    yield page
    page.screenshot(
        path=ARTEFACTS / f"{os.environ['PYTEST_CURRENT_TEST'].split('::')[1].split(' ')[0]}.png", full_page=True
    )
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()


def score(page: Page) -> None:
    page.get_by_label("Query", exact=True).first.fill("usb c cable")
    page.get_by_label("Products, one title a line").fill("\n".join(PRODUCTS))
    page.get_by_role("button", name="Score").click()
    page.locator("#scores li").nth(len(PRODUCTS) - 1).wait_for()


def test_products_are_scored_best_first_with_the_threshold(page: Page) -> None:
    score(page)
    values = [float(text.split()[0]) for text in page.locator("#scores .title .value").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert page.locator("#scores .bar b").count() == len(PRODUCTS)
    assert "threshold of us, 0.500" in page.locator("#threshold-note").inner_text()
    assert page.get_by_text("<img src=x onerror=alert(1)>", exact=True).is_visible()


def test_the_adapters_that_were_listened_to_are_shown_by_layer(page: Page) -> None:
    score(page)
    first = page.locator("#scores details").first
    first.locator("summary").click()
    rows = first.locator("tbody tr")
    weights = [float(text) for text in rows.first.locator("td").all_inner_texts()]
    assert sum(weights) == pytest.approx(1, abs=0.01)
    assert rows.last.locator("th").inner_text() == "all"


def test_two_versions_are_compared(page: Page) -> None:
    page.get_by_label("another version").check()
    page.get_by_label("Version to compare").wait_for()
    assert page.get_by_label("Version to compare").input_value() == "1"
    score(page)
    assert page.get_by_text("version 1: ").count() == len(PRODUCTS)


def test_the_cache_is_looked_up(page: Page, url: str) -> None:
    products = [{"id": f"p{place}", "title": title} for place, title in enumerate(PRODUCTS)]
    asked = {"marketplace": "us", "query": "usb c cable", "products": products}
    ranked = httpx.post(f"{url}/rank", json=asked, headers={"Authorization": f"Bearer {KEY}"}).json()
    relevant = [product["id"] for product in ranked["results"] if product["highly_relevant"]]
    page.get_by_label("Query", exact=True).nth(1).fill("USB  C cable")
    page.get_by_role("button", name="Look up").click()
    page.get_by_text(f"{len(relevant)} highly relevant products").wait_for()
    assert page.locator("#cache-answer code").all_inner_texts() == relevant
    page.get_by_label("Query", exact=True).nth(1).fill("never asked")
    page.get_by_role("button", name="Look up").click()
    page.get_by_text("Never scored").wait_for()


def test_products_are_picked_from_the_examples_of_the_version(page: Page) -> None:
    page.get_by_text("Pick from the model's validation examples").click()
    boxes = page.locator("#example-products input")
    boxes.first.wait_for()
    assert page.locator("#query").input_value() == page.get_by_label("Example query").input_value()
    products = page.get_by_label("Products, one title a line")
    assert products.input_value().splitlines() == ["cable 0", "cable 1"]
    products.fill("written by hand\ncable 0\ncable 1")
    boxes.first.uncheck()
    assert products.input_value().splitlines() == ["written by hand", "cable 1"]
    page.get_by_role("button", name="Score").click()
    page.locator("#scores li").nth(1).wait_for()


def test_quality_and_load_are_shown(page: Page) -> None:
    table = page.locator("#quality table")
    assert table.locator("thead th").all_inner_texts() == ["us", "es"]
    page.locator("#load dt").nth(5).wait_for()


def test_an_example_is_typed_in_already_and_one_click_scores_it(page: Page) -> None:
    query, products = page.locator("#query"), page.get_by_label("Products, one title a line")
    assert query.input_value() == "travel mug"
    assert len(products.input_value().splitlines()) == 4
    page.get_by_role("button", name="Score").click()
    page.locator("#scores li").nth(3).wait_for()


def test_the_example_speaks_the_marketplaces_language_and_gives_way_to_what_is_typed(page: Page) -> None:
    page.locator("#marketplace").select_option("es")
    page.wait_for_function("document.getElementById('query').value === 'manta de sofá'")
    page.locator("#query").fill("luz")
    page.locator("#marketplace").select_option("us")
    page.wait_for_function("document.getElementById('score-form').getAttribute('aria-busy') === 'false'")
    assert page.locator("#query").input_value() == "luz"


def test_the_share_of_plain_probes_is_told_by_marketplace(page: Page) -> None:
    lines = page.locator("#plain-probes li").all_inner_texts()
    assert [line.split(" %")[0] for line in lines] == ["us: 95", "es: 90"]
    assert "the version before" not in lines[0]


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    page.locator("#query").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("usb c cable")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("red sofa")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    page.keyboard.press("Enter")
    page.locator("#scores li").wait_for()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_every_field_has_a_name_and_a_wrong_key_is_told(page: Page) -> None:
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, textarea, button')]"
        ".filter(field => !(field.labels?.length || field.textContent.trim() || field.ariaLabel))"
        ".map(field => field.id)"
    )
    assert unnamed == []
    page.get_by_label("API key").fill("x" * 20)
    page.get_by_label("API key").press("Tab")
    page.get_by_role("alert").get_by_text("the key is unknown").wait_for()


def test_the_documentation_is_shown_with_nothing_from_elsewhere(browser: Browser, url: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/docs")
    page.get_by_text("Score query-product pairs", exact=True).wait_for()
    page.get_by_role("button", name="Authorize").wait_for()
    page.screenshot(path=ARTEFACTS / "documentation.png")
    assert all(address.startswith((url, "data:")) for address in asked)
    page.close()
