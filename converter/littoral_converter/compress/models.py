"""Reads a Keras model to be trained, of Keras 3 or 2, and writes it as the Keras that read it."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from littoral.errors import ConversionError, MisuseError
from littoral_converter import source
from littoral_converter.importers import hdf5, saving
from littoral_converter.source import Kind

_NEVER: Final = "1980-01-01@00:00:00"  # who saves says when, and that is no part of a model


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    frame: Any  # keras or tf_keras
    model: Any
    software: dict[str, str]


def load(path: Path, folder: Path) -> Loaded:
    """Return the model in ``path``; ``folder`` is made, for what reading it leaves behind.

    Raises:
        MalformedError: Keras cannot read it.
        ConversionError: It holds code, or cannot be trained.

    """
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    frame, model = _keras2(path, folder) if _is_keras2(path) else _keras3(path, folder)
    _check_trainable(path.name, model)
    return Loaded(
        frame=frame,
        model=model,
        software=saving.software(
            **{"tensorflow": tf.__version__, frame.__name__: frame.__version__}
        ),
    )


def _is_keras2(path: Path) -> bool:
    match source.detect(path).kind:
        case Kind.KERAS2:
            return True
        case Kind.HDF5:
            return not hdf5.look(path).keras.startswith("3")
        case Kind.KERAS3:
            return False
        case kind:
            raise ConversionError(
                f"{path.name}: this is a model of {kind}, whose weights cannot be trained any "
                "more; give the .keras or .h5 file that it was made of"
            )


def _keras3(path: Path, folder: Path) -> tuple[Any, Any]:
    import keras

    from littoral_converter.importers import keras as importer

    return keras, importer.load(keras, path, folder)


def _keras2(path: Path, folder: Path) -> tuple[Any, Any]:
    import tf_keras

    from littoral_converter.importers import keras2

    return tf_keras, keras2.load(tf_keras, path, folder)


def save(loaded: Loaded, path: Path) -> str:
    """Write the model beside ``path``, equal bytes for equal models; return the file's name."""
    at, made = path.with_suffix(".keras"), path.with_suffix(".made.keras")
    loaded.model.save(made)
    with zipfile.ZipFile(made) as found, zipfile.ZipFile(at, "w") as kept:
        for name in found.namelist():
            data = found.read(name)
            if name == "metadata.json":
                data = json.dumps(json.loads(data) | {"date_saved": _NEVER}).encode()
            kept.writestr(zipfile.ZipInfo(name), data)  # of 1980, as that is
    made.unlink()
    return at.name


def check(model: Any, found: tuple[int, ...], *, what: str) -> None:  # noqa: ANN401
    """Do nothing if ``model`` takes samples of ``found``.

    Raises:
        MisuseError: It takes others.

    """
    wanted = tuple(model.inputs[0].shape)[1:]
    fits = len(wanted) == len(found) and all(
        w is None or w == f for w, f in zip(wanted, found, strict=True)
    )
    if not fits:
        hint = "; add the last axis: x[..., None]" if (*found, 1) == wanted else ""
        shown = ", ".join("?" if n is None else str(n) for n in wanted)
        raise MisuseError(
            f"{what}: takes [{shown}], and the training samples are {list(found)}{hint}"
        )


def _check_trainable(name: str, model: Any) -> None:  # noqa: ANN401
    for what in ("inputs", "outputs"):
        found = getattr(model, what, None)
        if not found or len(found) != 1:
            raise ConversionError(
                f"{name}: expected a model of one input and one output to train, found "
                f"{len(found or ())} {what}"
            )
