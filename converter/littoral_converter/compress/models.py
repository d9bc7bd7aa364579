"""Reads a Keras model to be trained, of Keras 3 or 2, and writes it as the Keras that read it."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from littoral.errors import ConversionError, MisuseError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    frame: Any  # keras or tf_keras
    model: Any
    suffix: str
    software: dict[str, str]


def load(path: Path, folder: Path) -> Loaded:
    """Return the model in ``path``; ``folder`` is made, for what reading it leaves behind.

    Raises:
        MalformedError: Keras cannot read it.
        ConversionError: It holds code, or cannot be trained.

    """
    import tensorflow as tf

    from littoral_converter.importers import keras as importer

    folder.mkdir(parents=True, exist_ok=True)
    import keras

    model = importer.load(keras, path, folder)
    _check_trainable(path.name, model)
    return Loaded(
        frame=keras,
        model=model,
        suffix=".keras",
        software={
            "tensorflow": str(tf.__version__),
            "keras": str(keras.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    )


def save(loaded: Loaded, path: Path) -> str:
    """Write the model beside ``path``, and return its file's name."""
    at = path.with_suffix(loaded.suffix)
    loaded.model.save(at)
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
