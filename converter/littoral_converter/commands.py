"""The room's commands: arguments in, one line or one JSON object out."""

import dataclasses
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from littoral.commands.output import JSON
from littoral.errors import MissingExtraError
from littoral_converter.publishing import publish
from littoral_converter.terminal import progress, stoppable

if TYPE_CHECKING:
    from littoral_converter.edgetpu.target import EdgeTpu
    from littoral_converter.report import Report

__all__ = ["convert", "publish"]

_PATH: Any = click.Path(path_type=Path)


@click.command(
    epilog="Example: littoral convert digits.keras -o digits-1 --calibration train.npz "
    "--evaluation test.npz --name digits --release 1"
)
@click.argument("model", type=_PATH)
@click.option("-o", "--out", type=_PATH, required=True, help="The bundle's folder, to be made.")
@click.option("--recipe", "recipe_path", type=_PATH, help="TOML; docs/recipes.md lists all of it.")
@click.option("--calibration", type=_PATH, help="Samples to learn INT8 ranges from.")
@click.option("--evaluation", type=_PATH, help="Samples to judge by, with their classes.")
@click.option("--training", type=_PATH, help="Samples to train on, for a recipe that compresses.")
@click.option("--target", default="cpu", show_default=True, help="What to build for, by commas.")
@click.option("--name", help="The model's name on devices  [default: the recipe's or the file's].")
@click.option("--release", type=int, default=1, show_default=True, help="Greater than all before.")
@click.option("--label", help="The version as people say it  [default: the release].")
@click.option("--labels", type=_PATH, help="The names of the classes: text, one a line.")
@click.option("--force", is_flag=True, help="Replace the bundle that is at OUT.")
@click.option("--no-cache", is_flag=True, help="Do every step, also if it was done before.")
@JSON
def convert(
    *,
    model: Path,
    out: Path,
    recipe_path: Path | None,
    calibration: Path | None,
    evaluation: Path | None,
    training: Path | None,
    target: str,
    name: str | None,
    release: int,
    label: str | None,
    labels: Path | None,
    force: bool,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Convert MODEL to INT8 TFLite, judge it, and write a bundle.

    MODEL is a .keras or HDF5 file of Keras 2 or 3, a folder of a SavedModel, an .onnx, a .pt2 of
    torch.export.save, or a .tflite. Samples are an .npz (x, y) or .npy, a folder of pictures
    (sub-folder = class, or labels.csv), or TFRecords.
    """
    for package in ("tensorflow", "keras"):  # the children that import them are no place to say so
        if find_spec(package) is None:
            raise MissingExtraError("'littoral convert'", extra="converter", missing=package)
    from littoral_converter import cache, recipe
    from littoral_converter.convert import Order
    from littoral_converter.convert import convert as run

    order = Order(
        model=model,
        out=out,
        recipe=recipe.read(recipe_path),
        calibration=calibration,
        evaluation=evaluation,
        training=training,
        beside=Path() if recipe_path is None else recipe_path.parent,
        labels=labels,
        targets=tuple(part.strip() for part in target.split(",") if part.strip()),
        name=name,
        release=release,
        label=label,
        force=force,
        cache=None if no_cache else cache.opened(),
    )
    with stoppable(), progress(shown=not as_json and sys.stderr.isatty()) as say:
        report = run(order, say=say)
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(_summary(report, out)))
    else:
        _table(report, out)


def _summary(report: "Report", out: Path) -> dict[str, Any]:
    judged, tpu = report.evaluation is not None, report.edgetpu
    return {
        "bundle": str(out),
        "float": {
            "accuracy": next((v.score.float_accuracy for v in report.variants if v.score), None)
        },
        "variants": [
            {
                "id": v.id,
                "path": str(out / v.file),
                "bytes": v.bytes,
                "fully_integer": v.fully_integer,
                "accuracy": v.score.int8_accuracy if v.score else None,
                "agreement": v.likeness.agreement if judged else None,
                "edgetpu": _mapping(report) if tpu is None or tpu.file is None else None,
            }
            for v in report.variants
        ]
        + ([] if tpu is None or tpu.file is None else [_edgetpu(report, tpu, out)]),
    }


def _edgetpu(report: "Report", tpu: "EdgeTpu", out: Path) -> dict[str, Any]:
    """Return the Edge TPU's variant; nobody can ask it here, so that its accuracy is unknown."""
    from littoral_converter.edgetpu.target import VARIANT

    return {
        "id": VARIANT,
        "path": str(out / str(tpu.file)),
        "bytes": tpu.bytes,
        "fully_integer": report.variants[0].fully_integer,
        "accuracy": None,
        "agreement": None,
        "edgetpu": _mapping(report),
    }


def _mapping(report: "Report") -> Any:  # noqa: ANN401 (JSON)
    # Each key is there, also where nobody knows: programs rely on that.
    return None if report.edgetpu is None else dataclasses.asdict(report.edgetpu.mapping)


def _table(report: "Report", out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.model}:{report.release}", title_justify="left")
    for column in ("", "float", "INT8"):
        table.add_column(column, justify="right" if column else "left")
    before = report.before
    for v in report.variants:
        score = v.score
        if score is not None:
            table.add_row("accuracy", f"{score.float_accuracy:.2%}", f"{score.int8_accuracy:.2%}")
        if v.regression is not None:
            both = (v.regression.float_errors, v.regression.int8_errors)
            table.add_row("mean absolute error", *(f"{one.mae:.4g}" for one in both))
        if v.likeness.agreement is not None:
            table.add_row("same answer", "", f"{v.likeness.agreement:.2%}")
        table.add_row("size", f"{before.bytes:,} B", f"{v.bytes:,} B")
        cpu = (f"{figures.cpu_us.p95:,.1f} µs" for figures in (before.latency, v.latency))
        table.add_row("p95 CPU time here", *cpu)
        table.add_row("fully integer", "", "yes" if v.fully_integer else "no")
    if report.edgetpu is not None:
        found = report.edgetpu.mapping
        total = (found.mapped or 0) + found.left
        table.add_row(
            f"on an Edge TPU ({found.source})", "", f"{found.mapped} of {total} operators"
        )
    Console().print(table)
    click.echo(f"bundle: {out}\nreport: {out / 'report.html'}")
