"""docs/recipes.md names every setting there is, with its default."""

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

from littoral.records import fill, plain
from littoral_converter.recipe import Recipe

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def example() -> dict[str, Any]:
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return tomllib.loads(found[1])


def test_the_example_is_a_recipe() -> None:
    fill(Recipe, example())


def test_the_example_names_every_setting() -> None:
    written = example()
    for field in dataclasses.fields(Recipe):
        assert field.name in written
        if dataclasses.is_dataclass(field.type):
            names = {inner.name for inner in dataclasses.fields(field.type)}
            assert names == written[field.name].keys(), field.name


def test_the_example_shows_the_defaults() -> None:
    """But for what has none, and what is only an example."""
    examples = {"model", "label", "task", "input", "output", "compress"}
    unset = {
        "steps": ["relax", "ranges", "rounding", "equalise"],
        "x": "image/encoded",
        "y": "image/class/label",
        "data": "train.npz",
        "count": 32,
        "p95_cpu_us": {"cpu-aarch64": 9000},
        "runtime": "litert>=2.1",
        "max_accuracy_drop": 0.02,
        "min_runtime": 14,
    }
    for section, settings in plain(Recipe()).items():
        if section not in examples:
            assert example()[section] == settings | {
                name: value for name, value in unset.items() if name in example()[section]
            }
