"""What is in an HDF5 file of Keras, before any Keras is asked to read it.

HDF5 can name other files, on this machine, as the place of its data, and Keras 2 runs the code
that a Lambda layer brings along: neither is followed. Refuses to know what a layer computes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from littoral import records
from littoral.errors import ConversionError, MalformedError

MARK: Final = b"\x89HDF\r\n\x1a\n"
_MAX_CONFIG: Final = 64 * 1024 * 1024
_MAX_DEPTH: Final = 200
_CODE: Final = {"Lambda", "TFOpLambda", "SlicingOpLambda"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Which Keras wrote the file, and the model's configuration as it stands there."""

    keras: str  # as "2.15.0"
    config: Any


def is_one(path: Path) -> bool:
    """Whether the file in ``path`` is HDF5, by its content."""
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK


def look(path: Path) -> Found:
    """Return what ``path`` holds.

    Raises:
        MalformedError: It is damaged, or no model of Keras.
        ConversionError: It holds code, weights alone, or data that lies elsewhere.

    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_inside(path.name, file)
            version, config = file.attrs.get("keras_version"), file.attrs.get("model_config")
            weights = "layer_names" in file.attrs or "layers" in file
    # SystemError: what h5py raises where its own lock hides an error of the library.
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SystemError) as e:
        raise MalformedError(
            f"{path.name}: the HDF5 file is damaged or cut short; save or copy it again: "
            f"{' '.join(str(e).split())[:200]}"
        ) from e
    if config is None:
        raise _no_model(path.name, weights=weights)
    found = Found(keras=_text(version) or "2", config=_config(path.name, config))
    check_code(path.name, found.config)
    return found


def check_code(name: str, config: object) -> None:
    """Do nothing if no layer in ``config`` brings code along.

    Raises:
        ConversionError: One does.

    """
    for kind, module in _classes(config, depth=0):
        if kind in _CODE - {"Lambda"}:
            raise ConversionError(
                f"{name}: calls TensorFlow outside Keras's layers ({kind}), which is not read from "
                "a file; export it where its code is: model.export('folder') makes a SavedModel"
            )
        if kind == "Lambda":
            raise code(name)
        if module and module.split(".")[0] not in {"keras", "tf_keras", "builtins"}:
            raise strange(name, f"{kind!r} of {module!r}")


def code(name: str) -> ConversionError:
    return ConversionError(
        f"{name}: a Lambda layer holds Python code, which is never run from a file; "
        "write it with Keras's own layers"
    )


def strange(name: str, what: str) -> ConversionError:
    return ConversionError(
        f"{name}: has {what}, which Keras itself does not have, and code is never run from a "
        "file; write it with Keras's own layers"
    )


def _check_inside(name: str, file: Any) -> None:  # noqa: ANN401
    import h5py

    def outside(path: str, link: object) -> str | None:  # raising here would end the process
        if isinstance(link, h5py.ExternalLink):
            return path
        item = None if isinstance(link, h5py.SoftLink) else file[path]
        elsewhere = isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)
        return path if elsewhere else None

    found = file.visititems_links(outside)
    if found is not None:
        raise ConversionError(f"{name}: {found!r} lies in another file, which is never followed")


def _no_model(name: str, *, weights: bool) -> MalformedError | ConversionError:
    if weights:
        return ConversionError(
            f"{name}: holds weights and no model; save all of it where its code is: "
            "model.save('model.keras')"
        )
    return MalformedError(f"{name}: expected a model of Keras, found other HDF5 data")


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _config(name: str, config: object) -> Any:  # noqa: ANN401
    try:
        return records.parse_json(_text(config).encode(), limit=_MAX_CONFIG)
    except records.RecordError as e:
        raise MalformedError(f"{name}: model_config is damaged: {e}") from e


def _classes(config: object, *, depth: int) -> Iterator[tuple[str, str | None]]:
    """Yield every class that ``config`` names, and its module where that is said."""
    if depth > _MAX_DEPTH:
        raise MalformedError("the model's configuration is nested deeper than any true one")
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            module = config.get("module")
            yield config["class_name"], module if isinstance(module, str) else None
        for value in config.values():
            yield from _classes(value, depth=depth + 1)
    elif isinstance(config, list):
        for value in config:
            yield from _classes(value, depth=depth + 1)
