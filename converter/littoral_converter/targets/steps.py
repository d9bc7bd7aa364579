"""In a child: one match of the steps that build for a target."""

from collections.abc import Callable
from typing import Any


def known(step: str) -> tuple[type[Any], Callable[..., object]]:
    """Return the record that ``step`` is given, and what does it."""
    match step:
        case "target-jetson":
            from littoral_converter.targets import jetson

            return jetson.Job, jetson.run
        case "target-serving":
            from littoral_converter.targets import serving

            return serving.Job, serving.run
        case "target-browser":
            from littoral_converter.targets import browser

            return browser.Job, browser.run
        case "target-mobile":
            from littoral_converter.targets import mobile

            return mobile.Job, mobile.run
        case _:
            raise ValueError(f"no step {step!r}")
