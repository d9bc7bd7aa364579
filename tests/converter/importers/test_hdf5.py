"""HDF5 is looked into before any Keras reads it: h5py alone, and files that mean harm."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from littoral.errors import ConversionError, MalformedError
from littoral_converter.importers import hdf5


def model(path: Path, config: Any, **attributes: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        for name, value in attributes.items():
            file.attrs[name] = value
        file.create_dataset("model_weights/dense/kernel", data=np.zeros((2, 2)))
    return path


DENSE = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}


def test_which_keras_wrote_it_is_told(tmp_path: Path) -> None:
    assert hdf5.look(model(tmp_path / "m", DENSE)).keras == "2.15.0"
    assert hdf5.look(model(tmp_path / "n", DENSE, keras_version="3.9.0")).keras == "3.9.0"


def test_weights_that_lie_in_another_file_are_not_followed(tmp_path: Path) -> None:
    linked = model(tmp_path / "linked", DENSE)
    with h5py.File(linked, "a") as file:
        file["model_weights/more"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ConversionError, match="lies in another file, which is never followed"):
        hdf5.look(linked)


def test_a_dataset_whose_bytes_are_another_files_is_refused(tmp_path: Path) -> None:
    """It would bring the first bytes of any file here into the model, and out of the house."""
    (tmp_path / "secret").write_bytes(b"secret  ")
    stored = model(tmp_path / "stored", DENSE)
    with h5py.File(stored, "a") as file:
        place = [(str(tmp_path / "secret"), 0, 8)]
        file.create_dataset("model_weights/b", shape=(8,), dtype="u1", external=place)
    with pytest.raises(ConversionError, match="'model_weights/b' lies in another file"):
        hdf5.look(stored)


def test_a_dataset_that_is_made_of_other_files_is_refused(tmp_path: Path) -> None:
    virtual = model(tmp_path / "virtual", DENSE)
    with h5py.File(virtual, "a") as file:
        layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other"), "x", shape=(4,))
        file.create_virtual_dataset("model_weights/v", layout)
    with pytest.raises(ConversionError, match="lies in another file"):
        hdf5.look(virtual)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"class_name": "Lambda", "config": {}}, "Lambda layer holds Python code"),
        ({"class_name": "TFOpLambda", "config": {}}, "outside Keras's layers"),
        ({"class_name": "Mine", "module": "mine.layers"}, "'Mine' of 'mine.layers'"),
    ],
)
def test_code_is_refused_however_deep_it_lies(tmp_path: Path, layer: Any, words: str) -> None:
    inner = {"class_name": "Sequential", "config": {"layers": [layer]}}
    outer = {"class_name": "Functional", "config": {"layers": [{"config": {"layer": inner}}]}}
    with pytest.raises(ConversionError, match=words):
        hdf5.look(model(tmp_path / "m", outer))


def test_a_configuration_without_an_end_is_refused(tmp_path: Path) -> None:
    deep: Any = {"class_name": "Dense"}
    for _ in range(400):
        deep = {"config": deep}
    with pytest.raises(MalformedError, match="nested deeper than any true one"):
        hdf5.look(model(tmp_path / "m", deep))
    with pytest.raises(MalformedError, match="model_config is damaged"):
        hdf5.look(model(tmp_path / "n", "[" * 30_000))


def test_weights_alone_are_told_from_other_data(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights", "w") as file:
        file.attrs["layer_names"] = ["a"]
    with pytest.raises(ConversionError, match="holds weights and no model; save all of it"):
        hdf5.look(tmp_path / "weights")
    with h5py.File(tmp_path / "other", "w") as file:
        file["x"] = 1
    with pytest.raises(MalformedError, match="found other HDF5 data"):
        hdf5.look(tmp_path / "other")


def test_a_cut_or_damaged_file_is_told(tmp_path: Path) -> None:
    data = model(tmp_path / "m", DENSE).read_bytes()
    for n in (8, 100, 600, len(data) // 2):
        (tmp_path / "cut").write_bytes(data[:n])
        with pytest.raises(MalformedError, match="damaged or cut short"):
            hdf5.look(tmp_path / "cut")
