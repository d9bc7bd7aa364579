"""``littoral compile``: INT8 models for Edge TPUs, outside a bundle; several, or one in parts."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from littoral.commands.output import JSON
from littoral.errors import ConversionError, MisuseError
from littoral_converter.terminal import progress, stoppable

if TYPE_CHECKING:
    from littoral_converter.edgetpu.mapping import Mapping

_PATH: Any = click.Path(path_type=Path)


@click.command("compile", epilog="Example: littoral compile a.tflite b.tflite -o compiled")
@click.argument("models", type=_PATH, nargs=-1, required=True, metavar="FILE.tflite…")
@click.option("-o", "--out", type=_PATH, required=True, help="The folder for what is made.")
@click.option("--segments", type=click.IntRange(min=1, max=16), default=1, show_default=True,
              help="Cut the model for so many Edge TPUs in a row.")  # fmt: skip
@click.option("--min-runtime", type=click.IntRange(10, 14), help="The oldest Edge TPU runtime.")
@click.option("--search", type=click.Choice(["auto", "always", "never"]), default="auto",
              show_default=True, help="For a part that fits, where not all does.")  # fmt: skip
@click.option("--timeout", type=float, default=180.0, show_default=True, metavar="SECONDS")
@JSON
def compile_command(
    *,
    models: tuple[Path, ...],
    out: Path,
    segments: int,
    min_runtime: int | None,
    search: Any,  # noqa: ANN401 (click has checked it)
    timeout: float,
    as_json: bool,
) -> None:
    """Compile INT8 models with edgetpu_compiler, and read back what it made of them.

    Several models are compiled to share the chip's memory, the first of them first: switching
    between them then costs nothing.
    """
    from littoral_converter.edgetpu import compiler, target
    from littoral_converter.recipe import Limits
    from littoral_converter.targets.wanted import EdgeTpu
    from littoral_converter.workshop import Workshop

    models = tuple(model.resolve() for model in models)
    _check(models, segments=segments)
    if compiler.find() is None:
        raise ConversionError(target.MISSING)
    wanted = EdgeTpu(min_runtime=min_runtime, search=search, timeout_s=timeout)
    limits = Limits(deadline_s=timeout * 6 + 60)
    with (
        stoppable(),
        progress(shown=not as_json and sys.stderr.isatty()) as say,
        tempfile.TemporaryDirectory(prefix="littoral-compile-") as folder,
    ):
        shop = Workshop(folder=Path(folder), limits=limits, say=say)
        made, found = target.compile_models(
            shop, models, wanted, folder=shop.folder, segments=segments
        )
        done = [(_keep(path, out), mapping) for path, mapping in found]
    if as_json:
        told = [_told(path, mapping) for path, mapping in done]
        click.echo(
            json.dumps({"compiler": made.version, "attempts": made.attempts, "models": told})
        )
    for path, mapping in () if as_json else done:
        click.echo(_line(path, mapping))


def _check(models: tuple[Path, ...], *, segments: int) -> None:
    from littoral_converter import graph, source
    from littoral_converter.edgetpu import compiled
    from littoral_converter.source import Kind

    if segments > 1 and len(models) > 1:
        raise MisuseError("--segments cuts one model; give one, or compile several as they are")
    if len({model.stem for model in models}) < len(models):
        raise MisuseError("two of the models have one name, and what is made would have one, too")
    for model in models:
        kind = source.detect(model).kind
        if kind != Kind.TFLITE:
            raise MisuseError(f"{model}: this is a model of {kind}; convert it first")
        if compiled.read(graph.read(model.read_bytes())):
            raise MisuseError(f"{model} is compiled already; give what it was compiled from")


def _keep(path: Path, out: Path) -> Path:
    from littoral.durable import replace, storage_errors

    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    replace(out / path.name, path.read_bytes(), mode=0o644)
    return out / path.name


def _told(path: Path, mapping: "Mapping") -> dict[str, Any]:
    return {"path": str(path), "bytes": path.stat().st_size, "edgetpu": asdict(mapping)}


def _line(path: Path, mapping: "Mapping") -> str:
    from littoral.sizes import size

    mapped = "" if mapping.mapped is None else f"{mapping.mapped} operators mapped, "
    return (
        f"{path}: {mapped}{mapping.left} on the processor, "
        f"{size(mapping.cached_bytes or 0)} of parameters on the chip, "
        f"{size(mapping.streamed_bytes or 0)} sent for each inference, "
        f"runtime {mapping.min_runtime_version} or later"
    )
