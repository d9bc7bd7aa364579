"""One trained CNN in every format, and what the importers and the quantizer make of each."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.model import tensors
from littoral.model.backends import open_session
from littoral_converter import build, source, worker
from littoral_converter.importers import program, readers
from littoral_converter.importers.program import Job, Program
from littoral_converter.quantizing import INT8
from littoral_converter.recipe import Limits, Recipe
from littoral_converter.workshop import Workshop

HERE = Path(__file__).parent
KERAS, LAST, FIRST = (8, 8, 1), (0, 2, 3, 1), (1, 8, 8)
ASKED = 200  # samples


@dataclass(frozen=True, kw_only=True)
class Made:
    """A program, and INT8 of it."""

    program: Program
    folder: Path
    samples: NDArray[np.float32]  # as the program takes them

    @property
    def truth(self) -> NDArray[np.float32]:
        return np.load(self.folder / program.ANSWERS)  # type: ignore[no-any-return]

    def answers(self, model: str) -> NDArray[np.float32]:
        return answers((self.folder / model).read_bytes(), self.samples)


def answers(model: bytes, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    session = open_session("litert", model)
    (taken,), (given,) = session.inputs, session.outputs
    found = [session.run(tensors.quantize(sample[None], taken))[0] for sample in samples]
    return tensors.dequantize(np.concatenate(found), given)


@pytest.fixture(scope="session")
def formats(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: the digits' CNN in every format."""
    folder = tmp_path_factory.mktemp("formats")
    command = [sys.executable, str(HERE.parent / "make_formats.py")]
    command += [str(models / "digits.keras"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def made(models: Path, formats: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """By name: each format, read and quantized as the command does it."""
    names = ["keras2.h5", "keras3.h5", "saved", "digits.onnx", "float.tflite", "digits.pt2"]
    here = [name for name in names if (formats / name).exists()]
    trained, asked = (np.load(models / f"{name}.npz")["x"] for name in ("train", "test"))

    def make(name: str) -> Made:
        folder = tmp_path_factory.mktemp("made")
        shop = Workshop(folder=folder, limits=Limits(), say=lambda _: None)
        first = name in {"digits.onnx", "digits.pt2"}
        order = [np.moveaxis(x, -1, 1) if first else x for x in (trained[:120], asked[:ASKED])]
        at = shop.keep("samples.npy", order[1])
        odd = folder / f"odd-{name.partition('.')[0]}"
        copy = shutil.copytree if (formats / name).is_dir() else shutil.copy
        copy(formats / name, odd)
        found = source.detect(odd)
        done = build.build(shop, found, order[0], at, recipe=Recipe(), targets=("cpu",))
        assert (folder / INT8).exists()
        return Made(program=done.program, folder=folder, samples=asked[:ASKED])

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(here, pool.map(make, here), strict=True))


Read = Callable[..., Program]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a model in a child, as build does; the program is in ``tmp_path / "shop"``."""
    return partial(_read, tmp_path / "shop")


def _read(folder: Path, model: Path, samples: NDArray[Any], **asked: Any) -> Program:
    folder.mkdir(exist_ok=True)
    np.save(folder / "samples.npy", samples.astype(np.float32))
    job = Job(
        model=model.resolve(),
        folder=folder,
        samples=folder / "samples.npy",
        seen=samples.shape[1:],
        **asked,
    )
    step = readers.need(source.detect(model).kind)
    found, _ = worker.run(step, job, Program, folder=folder, limits=Limits(), say=lambda _: None)
    return found
