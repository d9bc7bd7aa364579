"""Inputs of `littoral convert` that mean harm or are broken. The n-th one of a seed is the same."""

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

_FILES: Final = ("digits.keras", "keras2.h5", "keras3.h5", "digits.onnx", "float.tflite")
_BOMB: Final = 2 * 2**30  # bytes of zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command is given, and the file that only code of its author would write."""

    model: Path
    calibration: Path
    canary: Path
    recipe: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Honest models and samples to begin with, and a folder for what is made of them."""

    honest: Path
    folder: Path
    rng: Random

    @property
    def samples(self) -> Path:
        return self.honest / "train.npz"

    @property
    def canary(self) -> Path:
        return self.folder / "canary"

    def data(self, name: str) -> bytes:
        return (self.honest / name).read_bytes()

    def any(self) -> tuple[str, bytes]:
        name = self.rng.choice(_FILES)
        return name, self.data(name)

    def model(self, name: str, data: bytes) -> Given:
        path = self.folder / name
        path.write_bytes(data)
        return self.given(path)

    def given(self, model: Path) -> Given:
        return Given(model=model, calibration=self.samples, canary=self.canary)

    def about(self, data: Path) -> Given:
        """Return an honest model with samples that are not."""
        model = self.honest / "digits.keras"
        return Given(model=model, calibration=data, canary=self.canary)


class Runs:
    """A pickle that makes the canary where it is loaded."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self._canary),)


def truncated(on: Ground) -> Given:
    name, data = on.any()
    return on.model(name, data[: on.rng.randrange(len(data))])


def flipped(on: Ground) -> Given:
    name, data = on.any()
    changed = bytearray(data)
    for _ in range(on.rng.choice((1, 8, 64))):
        changed[on.rng.randrange(len(data))] ^= 1 << on.rng.randrange(8)
    return on.model(name, bytes(changed))


def overwritten(on: Ground) -> Given:
    """Words of 32 bits at their edges: offsets, lengths, counts."""
    name, data = on.any()
    changed = bytearray(data)
    for _ in range(8):
        at = on.rng.randrange(min(len(data) - 4, 4096)) & ~3
        changed[at : at + 4] = struct.pack("<I", on.rng.choice((0, 0x7FFFFFFF, 0xFFFFFFFF)))
    return on.model(name, bytes(changed))


def spliced(on: Ground) -> Given:
    (name, one), (_, other) = on.any(), on.any()
    return on.model(name, one[: on.rng.randrange(len(one))] + other)


def nothing(on: Ground) -> Given:
    """An empty file, an empty folder, noise, a device without end, a pipe that nobody fills."""
    path = on.folder / "nothing"
    match on.rng.randrange(6):
        case 0:
            path.write_bytes(b"")
        case 1:
            path.mkdir()
        case 2:
            path.write_bytes(on.rng.randbytes(4096))
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            os.mkfifo(path)
        case _:
            path.symlink_to(path)
    return on.given(path)


def pickled(on: Ground) -> Given:
    """Code that a loader of pickles runs: bare, in a TorchScript, among samples."""
    evil = pickle.dumps(Runs(on.canary))
    match on.rng.randrange(4):
        case 0:
            return on.model("weights.pt", evil)
        case 1:
            return on.model("model.pt2", _archive({"m/data.pkl": evil, "m/version": b"3"}))
        case 2:
            array = np.array([Runs(on.canary)], dtype=object)
            np.savez(on.folder / "x.npz", x=array)
            return on.about(on.folder / "x.npz")
        case _:
            np.save(on.folder / "x.npy", np.array([Runs(on.canary)], dtype=object))
            return on.about(on.folder / "x.npy")


def bombs(on: Ground) -> Given:
    """Archives that are small until they are opened."""
    archive = on.folder / "bomb"
    name = on.rng.choice(("config.json", "metadata.json", "model.weights.h5", "x.npy"))
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made,
        zipfile.ZipFile(on.honest / "digits.keras") as honest,
    ):
        for other in honest.namelist():
            if other != name:
                made.writestr(other, honest.read(other))
        with made.open(name, "w", force_zip64=True) as inner:
            claim = {"descr": "<f4", "fortran_order": False, "shape": (_BOMB // 4,)}
            if name == "x.npy":
                np.lib.format.write_array_header_1_0(inner, claim)
            for _ in range(_BOMB // 2**24):
                inner.write(bytes(2**24))
    return on.about(archive) if name == "x.npy" else on.given(archive)


def configured(on: Ground) -> Given:
    """A configuration that names code, lies about shapes, or never ends."""
    config = json.loads(_inner(on, "config.json"))
    layers = config["config"]["layers"]
    which = on.rng.randrange(7)
    if which == 0:
        evil = {"module": "os", "class_name": "system", "config": f"mkdir {on.canary}"}
        layers[1]["config"]["activation"] = evil
    elif which == 1:
        code = {"class_name": "__lambda__", "config": {"value": "4wEA", "defaults": None}}
        layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": code}}
        layers.insert(1, layer)
    elif which == 2:
        layers[1] |= {"module": "subprocess", "class_name": "Popen", "registered_name": "Popen"}
        layers[1]["config"] = {"args": ["mkdir", str(on.canary)]}
    elif which == 3:
        layers[0]["config"]["batch_shape"] = [None, 2**31 - 1, 2**31 - 1, 1]
    elif which == 4:
        layers[1]["config"]["filters"] = on.rng.choice((2**31, -1, 0, "many"))
    elif which == 5:
        deep = '{"config":' * 100_000
        return on.model("deep.keras", _with(on, "config.json", deep.encode()))
    else:
        config = on.rng.choice(([], "Sequential", {"class_name": "Sequential"}, None))
    return on.model("config.keras", _with(on, "config.json", json.dumps(config).encode()))


def outside(on: Ground) -> Given:
    """Models that name files elsewhere on this machine as a part of themselves."""
    secret = on.folder.parent / "secret"
    secret.write_bytes(bytes(2**20))
    if on.rng.random() < 0.5:
        folder = on.folder / "saved"
        shutil.copytree(on.honest / "saved", folder)
        inner = on.rng.choice(sorted(p for p in folder.rglob("*") if p.is_file()))
        inner.unlink()
        inner.symlink_to(on.rng.choice((str(secret), "/etc/passwd", "/dev/zero", str(inner))))
        return on.given(folder)
    import onnx
    from onnx.external_data_helper import set_external_data

    model = onnx.load(on.honest / "digits.onnx")
    place = on.rng.choice(("../secret", str(secret), "/dev/zero", "a/../../secret"))
    for tensor in model.graph.initializer:
        set_external_data(tensor, place)
        tensor.ClearField("raw_data")
    return on.model("outside.onnx", model.SerializeToString())


def writing(on: Ground) -> Given:
    """A SavedModel whose graph writes a file, and SavedModels that are damaged."""
    folder = on.folder / "several"
    kind = on.rng.choice(("several", "saved"))
    shutil.copytree(on.honest / kind, folder)
    recipe = on.folder / "recipe.toml"
    recipe.write_text('[input]\nsignature = "writes"\n')
    if kind == "saved":
        inner = on.rng.choice(sorted(p for p in folder.rglob("*") if p.is_file()))
        data = inner.read_bytes()
        inner.write_bytes(data[: len(data) // 2])
        recipe.write_text("")
    canary = on.honest / "canary"  # it was named when the graph was made
    return Given(model=folder, calibration=on.samples, canary=canary, recipe=recipe)


def sampled(on: Ground) -> Given:
    """Samples of no use: of nothing, of one value, without numbers, of another shape."""
    shape = on.rng.choice(((0, 8, 8, 1), (120, 8, 8, 1), (120, 7, 7, 1), (120,), (3, 1, 1, 1, 1)))
    values = np.zeros(shape, on.rng.choice(("<f4", "<f8", "<c8", "S4", "?", "<u1", ">f4")))
    if values.dtype.kind == "f":
        values[...] = on.rng.choice((np.nan, np.inf, 0.0, 3e38))
    path = on.folder / on.rng.choice(("x.npy", "x.npz"))
    np.savez(path, x=values) if path.suffix == ".npz" else np.save(path, values)
    return on.about(path)


def claiming(on: Ground) -> Given:
    """Arrays, pictures and records that say that they are longer than they are."""
    path = on.folder / "x.npy"
    match on.rng.randrange(4):
        case 0:
            made = io.BytesIO()
            claim = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 8, 8, 1)}
            np.lib.format.write_array_header_1_0(made, claim)
            path.write_bytes(made.getvalue() + bytes(1024))
        case 1:
            path = on.folder / "x.tfrecord"
            path.write_bytes(struct.pack("<QI", 2**62, 1) + bytes(64))
        case 2:
            path = on.folder / "x.tfrecord"
            path.write_bytes(on.rng.randbytes(8192))
        case _:
            path = on.folder / "pictures"
            (path / "cat").mkdir(parents=True)
            wide = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
            head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + wide
            (path / "cat" / "1.png").write_bytes(head + bytes(4))
    return on.about(path)


def weighed(on: Ground) -> Given:
    """An honest graph, and weights that are none."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(on.honest / "digits.onnx")
    value = on.rng.choice((np.nan, np.inf, 1e38))
    for k, tensor in enumerate(model.graph.initializer):
        array = np.full_like(numpy_helper.to_array(tensor), value)
        model.graph.initializer[k].CopyFrom(numpy_helper.from_array(array, tensor.name))
    return on.model("weighed.onnx", model.SerializeToString())


FAMILIES: Final[dict[str, Callable[[Ground], Given]]] = {
    "truncated": truncated,
    "flipped": flipped,
    "overwritten": overwritten,
    "spliced": spliced,
    "nothing": nothing,
    "pickled": pickled,
    "bombs": bombs,
    "configured": configured,
    "outside": outside,
    "writing": writing,
    "sampled": sampled,
    "claiming": claiming,
    "weighed": weighed,
}


def _archive(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _inner(on: Ground, name: str) -> bytes:
    with zipfile.ZipFile(on.honest / "digits.keras") as archive:
        return archive.read(name)


def _with(on: Ground, name: str, data: bytes) -> bytes:
    """Return the honest .keras file with another inner file."""
    with zipfile.ZipFile(on.honest / "digits.keras") as archive:
        held = {other: archive.read(other) for other in archive.namelist()}
    return _archive(held | {name: data})
