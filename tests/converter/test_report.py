"""The report as data and as a page, looked at in a real browser."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from converter.conftest import Converted
from littoral import records
from littoral_converter import report
from littoral_converter.report import Report

CHROMIUM = Path("/usr/bin/chromium")


def data(digits: Converted) -> Any:
    return json.loads((digits.bundle / "report.json").read_text())


def test_the_data_holds_every_figure_of_the_conversion(digits: Converted) -> None:
    found = data(digits)
    (variant,), (said,) = found["variants"], digits.said["variants"]
    assert variant["score"]["int8_accuracy"] == said["accuracy"]
    assert variant["score"]["float_accuracy"] == digits.said["float"]["accuracy"]
    assert variant["likeness"]["agreement"] == said["agreement"]
    assert variant["likeness"]["cosine_mean"] > 0.99
    assert sum(map(sum, variant["score"]["confusion"])) == 360
    assert found["evaluation"]["samples"] == 360
    assert found["calibration"]["samples"] == 200
    assert found["proven"]["max_abs"] == 0
    assert found["steps"]["read the model"]["peak_bytes"] > 100 * 2**20
    assert found["steps"].keys() >= {
        "read the calibration samples",
        "read the model",
        "quantize",
        "run INT8",
        "run float",
        "compare tensors",
        "self-test",
    }
    assert found["software"].keys() >= {"littoral", "tensorflow", "keras", "python"}


def test_it_tells_no_folder_of_the_machine_that_made_it(digits: Converted, models: Path) -> None:
    for name in ("report.json", "report.html", "manifest.json"):
        text = (digits.bundle / name).read_text()
        assert str(models.parent) not in text
        assert str(Path.home()) + "/" not in text


def test_the_page_fetches_nothing_and_runs_nothing(digits: Converted) -> None:
    page = (digits.bundle / "report.html").read_text()
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert 'src="http' not in page
    assert 'href="http' not in page.replace('xlink:href="#', "")


def test_names_and_labels_are_shown_and_never_run(digits: Converted) -> None:
    found = records.fill(Report, data(digits))
    evil = "<script>alert(1)</script>"
    written = dataclasses.replace(found, label=evil, warnings=(evil,))
    page = report.render(written, int8_cpu_us=[1.0, 2.0], float_cpu_us=[1.0, 2.0]).decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


@pytest.fixture(scope="module")
def page(digits: Converted) -> Iterator[Any]:
    """The report, open in Chromium on a screen of a laptop."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--headless"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto((digits.bundle / "report.html").as_uri())
        yield page
        browser.close()


def test_the_glance_on_top_says_what_matters(page: Any, digits: Converted) -> None:
    glance = page.locator(".glance").inner_text()
    (said,) = digits.said["variants"]
    assert f"{100 * said['accuracy']:.1f} %" in glance
    assert f"{100 * said['agreement']:.1f} %" in glance
    assert f"{said['bytes'] / 1024:.1f} KiB" in glance
    assert "fully integer" in page.locator(".badges").inner_text()
    assert page.locator(".glance").bounding_box()["y"] < 300


def test_every_picture_is_drawn(page: Any) -> None:
    boxes = [figure.bounding_box() for figure in page.locator("figure svg").all()]
    assert len(boxes) == 5
    assert all(box["width"] > 300 and box["height"] > 80 for box in boxes)
    assert page.locator("figure svg text", has_text="seven").count() >= 2


@pytest.mark.parametrize("width", [390, 768, 1200, 1920])
def test_nothing_sticks_out_on_any_screen(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 800, 1200, 1280, 1920])
def test_no_column_of_the_classes_is_cut_off(page: Any, width: int) -> None:
    """What is scrolled out of sight on the widest screen is seen by nobody: F1 stood there."""
    page.set_viewport_size({"width": width, "height": 900})
    for table in page.locator(".scroll:has(.classes)").all():
        assert table.evaluate("e => e.scrollWidth - e.clientWidth") <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_their_ground(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    ink, ground = page.evaluate(
        "[getComputedStyle(document.querySelector('.note')).color,"
        " getComputedStyle(document.querySelector('section')).backgroundColor]"
    )
    assert contrast(ink, ground) > 4.5


def contrast(one: str, other: str) -> float:
    """The contrast of two CSS colours, as WCAG defines it."""

    def light(colour: str) -> float:
        parts = [int(n) / 255 for n in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)
