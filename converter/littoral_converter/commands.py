"""The room's commands: arguments in, one line or one JSON object out."""

import dataclasses
import json
import sys
from collections.abc import Iterator
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
                # Of the twin; what else there is, no Edge TPU was asked about.
                "edgetpu": _mapping(report) if k == 0 and not (tpu and tpu.file) else None,
            }
            for k, v in enumerate(report.variants)
        ]
        + ([] if tpu is None or tpu.file is None else [_edgetpu(report, tpu, out)]),
        "exports": [
            {
                "target": e.target,
                "path": str(out / e.target),
                "bytes": e.bytes,
                "agreement": e.likeness.agreement if judged and e.likeness else None,
                "use": e.use,
            }
            for e in report.exports
        ],
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
    several = len(report.variants) > 1
    for column in ("", "float", *(v.id if several else "INT8" for v in report.variants)):
        table.add_column(column, justify="right" if column else "left")
    for row in _rows(report):
        table.add_row(*row)
    if report.edgetpu is not None:
        found = report.edgetpu.mapping
        total = (found.mapped or 0) + found.left
        table.add_row(
            f"on an Edge TPU ({found.source})", "", f"{found.mapped} of {total} operators"
        )
    Console().print(table)
    for export in report.exports:
        click.echo(f"{export.target}: {out / export.target} ({export.use})")
    click.echo(f"bundle: {out}\nreport: {out / 'report.html'}")


def _rows(report: "Report") -> Iterator[list[str]]:
    """Walk the rows of the table: what it is, the float model's, each variant's."""
    before, variants = report.before, report.variants
    scores = [v.score for v in variants if v.score is not None]
    if scores:
        yield [
            "accuracy",
            f"{scores[0].float_accuracy:.2%}",
            *(f"{s.int8_accuracy:.2%}" for s in scores),
        ]
    errors = [v.regression for v in variants if v.regression is not None]
    if errors:
        first = errors[0].float_errors.mae
        yield ["mean absolute error", f"{first:.4g}", *(f"{e.int8_errors.mae:.4g}" for e in errors)]
    same = [v.likeness.agreement for v in variants if v.likeness.agreement is not None]
    if same:
        yield ["same answer", "", *(f"{share:.2%}" for share in same)]
    yield ["size", f"{before.bytes:,} B", *(f"{v.bytes:,} B" for v in variants)]
    latencies = [before.latency, *(v.latency for v in variants)]
    yield ["p95 CPU time here", *(f"{one.cpu_us.p95:,.1f} µs" for one in latencies)]
    yield ["fully integer", "", *("yes" if v.fully_integer else "no" for v in variants)]
