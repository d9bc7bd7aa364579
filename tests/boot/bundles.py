"""Releases of small models, as bundles, and what they answer on this machine."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_digits

from littoral.bundle.manifest import (
    FORMAT,
    NAME,
    File,
    Hardware,
    Manifest,
    Requires,
    Selftest,
    Tolerance,
    Variant,
)
from littoral.model import selftest
from littoral.model.backends import open_session
from littoral.model.backends.base import Session
from simulators import edgetpu
from simulators.edgetpu_compiled import compiled
from simulators.served import noise

CPUS: Final[tuple[Hardware, ...]] = ("cpu-x86_64", "cpu-aarch64")
CORALS: Final[tuple[Hardware, ...]] = ("edgetpu-pcie", "edgetpu-usb")
# How far LiteRT's kernels for another architecture round away, of 256: measured on digits, 4.
STEPS: Final = 8
_SAMPLES: Final = 64


@dataclass(frozen=True, slots=True)
class Release:
    """A bundle, and what it must answer: inputs and outputs as stored."""

    folder: Path
    model: str
    release: int
    inputs: Any
    outputs: Any


def bundle(folder: Path, model: str, release: int, source: Path) -> Release:
    """Write the bundle of ``source``; its golden outputs are what it answers here."""
    folder.mkdir(parents=True)
    data = source.read_bytes()
    session = open_session("litert", data)
    samples = digits(session) if model == "digits" else noise(session.inputs, _SAMPLES)
    answers = [session.run(*sample) for sample in samples]
    contents = {
        "model.tflite": data,
        "inputs.bin": selftest.pack(samples[:4]),
        "outputs.bin": selftest.pack(answers[:4]),
    }
    for name, written in contents.items():
        (folder / name).write_bytes(written)
    step = max(output.scale or 0.01 for output in session.outputs)
    manifest = Manifest(
        format=FORMAT,
        model=model,
        release=release,
        label=f"1.{release}",
        task="classification",
        inputs=session.inputs,
        outputs=session.outputs,
        files={name: _file(written) for name, written in contents.items()},
        variants=(
            Variant(
                id="cpu-int8",
                engine="tflite",
                files=("model.tflite",),
                requires=Requires(hardware=CPUS),
            ),
        ),
        selftest=Selftest(
            count=4,
            inputs="inputs.bin",
            outputs="outputs.bin",
            tolerance=Tolerance(max_abs=(STEPS + 0.01) * step),
        ),
    )
    (folder / NAME).write_bytes(manifest.to_json())
    inputs, outputs = (np.concatenate([one[0] for one in rows]) for rows in (samples, answers))
    return Release(folder, model, release, inputs, outputs)


def for_coral(plain: Release) -> Release:
    """Prefer a variant for an Edge TPU to the bundle's own, which becomes its twin.

    Its golden outputs are those of the tests' library, which no processor would give.
    """
    manifest = Manifest.from_json((plain.folder / NAME).read_bytes())
    (output,) = manifest.outputs
    each = int(np.prod(output.shape))
    answers = b"".join(edgetpu.answer(one.tobytes(), each) for one in plain.inputs)
    held = manifest.selftest.count * each
    contents = {
        "coral.tflite": compiled((plain.folder / "model.tflite").read_bytes()),
        "coral.bin": answers[:held],
    }
    for name, data in contents.items():
        (plain.folder / name).write_bytes(data)
    variant = Variant(
        id="coral",
        engine="tflite",
        files=("coral.tflite",),
        delegate="edgetpu",
        golden="coral.bin",
        requires=Requires(hardware=CORALS),
    )
    made = replace(
        manifest,
        files=manifest.files | {name: _file(data) for name, data in contents.items()},
        variants=(variant, *manifest.variants),
    )
    (plain.folder / NAME).write_bytes(made.to_json())
    outputs = np.frombuffer(answers, plain.outputs.dtype).reshape(plain.outputs.shape)
    return replace(plain, outputs=outputs)


def _file(data: bytes) -> File:
    return File(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def digits(session: Session) -> list[selftest.Sample]:
    """Return scans of handwritten digits as the model's input stores them."""
    images = load_digits().images[:_SAMPLES, None, :, :, None] / 16
    (image,) = session.inputs
    assert image.scale is not None
    stored = np.clip(np.round(images / image.scale) + (image.zero_point or 0), -128, 127)
    return [(one,) for one in stored.astype(np.int8)]


def sample(release: Release) -> dict[str, Any]:
    """Return the request that clients repeat."""
    return {"signature_name": "raw", "inputs": release.inputs[:1].tolist()}


def write_sample(release: Release, path: Path) -> None:
    path.write_text(json.dumps(sample(release)))
