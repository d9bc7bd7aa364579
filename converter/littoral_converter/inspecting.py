"""``littoral inspect``: what a model is, from the outside of it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from littoral.commands.output import JSON, emit
from littoral.errors import MisuseError
from littoral_converter import bundled, inspect_tree, inspection

_PATH: Any = click.Path(path_type=Path)


@click.command(epilog="Example: littoral inspect doorbell_int8.tflite --json")
@click.argument("path", type=_PATH, metavar="FILE.tflite|BUNDLE")
@click.option(
    "--twin", type=_PATH, help="What the file was compiled from  [default: it lies beside it]."
)
@JSON
def inspect(*, path: Path, twin: Path | None, as_json: bool) -> None:
    """Show inputs, outputs, operators, weights, and what an Edge TPU would run of a model.

    The Edge TPU's share is read from a compiled file, and predicted of any other, with the reason
    for each operator that stays on the processor.
    """
    if not path.is_dir():
        one = inspection.file(path, twin=twin)
        emit(one, as_json=as_json, text=inspect_tree.draw(inspect_tree.of_file(one)))
        return
    if not bundled.is_one(path):
        raise MisuseError(f"{path}: expected a .tflite file or a bundle, found another folder")
    if twin is not None:
        raise MisuseError("--twin is for a file; a bundle holds what its models were compiled from")
    seen = inspection.bundle(path)
    text = inspect_tree.draw(inspect_tree.of_bundle(seen))
    emit(_flat(seen) if as_json else seen, as_json=as_json, text=text)


def _flat(seen: inspection.BundleSeen) -> dict[str, Any]:
    """Return the bundle with what a file has at its top: that of the variant that is preferred."""
    first = next((v.inspection for v in seen.variants if v.inspection is not None), None)
    return (_fields(first) if first else {}) | _fields(seen)


def _fields(record: inspection.Inspection | inspection.BundleSeen) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record)}
