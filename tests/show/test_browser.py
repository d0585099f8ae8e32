"""The report in a real browser: nothing goes wrong in it, its navigation works, and it fits a phone.

Screenshots go to data/screenshots; whoever changes the page looks at them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from lakehouse import Lakehouse

INSTALL = "apt-get install chromium chromium-driver"
SCREENSHOTS = Path("data/screenshots")
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """A headless Chromium that keeps what its console says."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip(f"needs a real browser and its driver: {INSTALL}")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def page(dirty_lake: Lakehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(dirty_lake.report(), encoding="utf-8")
    return file


def shown(browser: Chrome, page: Path, size: tuple[int, int], scheme: str = "light") -> None:
    """Open the page in a window of this inner size."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_renders_without_errors_and_without_scrolling_sideways(
    browser: Chrome, page: Path, size: tuple[int, int], scheme: str
) -> None:
    shown(browser, page, size, scheme)
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    assert "Sparkify lakehouse" in browser.find_element(By.TAG_NAME, "h1").text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    charts = browser.find_elements(By.CSS_SELECTOR, "figure svg")
    assert charts
    assert all(chart.size["width"] > 200 and chart.size["height"] > 50 for chart in charts)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(SCREENSHOTS / f"report-{size[0]}-{scheme}.png"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_text_of_a_chart_lies_on_another_or_is_cut_off(
    browser: Chrome, page: Path, size: tuple[int, int]
) -> None:
    """The browser's letters are not those that the charts were measured with."""
    shown(browser, page, size)
    charts = browser.execute_script(
        """const sides = ({left, right, top, bottom}) => [left, right, top, bottom];
        const box = (e) => sides(e.getBoundingClientRect());
        const seen = (t) => t.textContent.trim() && t.getAttribute('opacity') !== '0';
        return [...document.querySelectorAll('figure svg')].map(svg => [box(svg),
            [...svg.querySelectorAll('text')].filter(seen).map(t => [t.textContent, box(t)])]);"""
    )
    assert len(charts) > 10
    for (left, right, *_), texts in charts:
        assert len(texts) > 3
        assert [text for text, at in texts if at[0] < left - 1 or at[1] > right + 1] == []
        assert [(a, b) for (a, one), (b, other) in combinations(texts, 2) if overlap(one, other)] == []


def overlap(one: list[float], other: list[float]) -> bool:
    """Whether letters of two boxes (left, right, top, bottom) lie on each other; a line has px to spare."""
    beside = one[1] <= other[0] + 1 or other[1] <= one[0] + 1
    return not beside and one[2] < other[3] - 3 and other[2] < one[3] - 3


def test_the_navigation_leads_to_every_section(browser: Chrome, page: Path) -> None:
    shown(browser, page, DESKTOP)
    for link in browser.find_elements(By.CSS_SELECTOR, "nav a"):
        link.click()
        target = browser.find_element(By.ID, str(link.get_attribute("hash")).removeprefix("#"))
        top = browser.execute_script("return arguments[0].getBoundingClientRect().top", target)
        assert 0 <= top < DESKTOP[1], link.text


def test_the_keyboard_alone_reaches_the_content_and_opens_details(browser: Chrome, page: Path) -> None:
    shown(browser, page, DESKTOP)
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    summary = browser.find_element(By.CSS_SELECTOR, "#quality ~ details summary")
    summary.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "#quality ~ details").get_attribute("open") is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_the_page_in_light_and_dark(browser: Chrome, page: Path, scheme: str) -> None:
    """WCAG 2.2 AA: a contrast of 4.5 to 1."""
    shown(browser, page, DESKTOP, scheme)
    colours = browser.execute_script(
        """const of = (e) => getComputedStyle(e);
        return ['p', '.faint', 'a', '.bad', 'th', 'summary', 'dt', '.flow h3'].map(s => {
            const e = document.querySelector('main ' + s) || document.querySelector(s);
            let box = e;
            while (of(box).backgroundColor.endsWith(', 0)') && box.parentElement) box = box.parentElement;
            return [s, of(e).color, of(box).backgroundColor];
        })"""
    )
    for what, ink, paper in colours:
        assert contrast(ink, paper) >= 4.5, (what, ink, paper)


def contrast(ink: str, paper: str) -> float:
    """Of two CSS colours `rgb(r, g, b)`, as WCAG defines it."""
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
