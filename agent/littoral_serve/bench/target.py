"""What TARGET names: a model's file, a bundle, an installed model; and how it may be run here.

Files of a bundle are believed by its manifest's digests, as on every load. Loads no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from littoral import machine
from littoral.bundle import manifest, verified
from littoral.bundle.manifest import Hardware, Manifest, Variant, check_id
from littoral.errors import (
    BackendMissingError,
    LittoralError,
    MisuseError,
    NotFoundError,
)
from littoral.model.backends import NAMES, backend_for, backend_of
from littoral.tree import Tree
from littoral.wire import journal
from littoral_serve.bench.process import Subject

_ONNX: Final = ("onnx", "cuda", "tensorrt")  # what reads an .onnx; the others, a .tflite
_SUFFIXES: Final = (".tflite", ".onnx")
_ANYWHERE: Final[dict[str, tuple[Hardware, ...]]] = {
    "edgetpu": ("edgetpu-usb", "edgetpu-pcie"),
    "cuda": ("cuda",),
    "tensorrt": ("tensorrt",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model, and each way in which it may be run, as its publisher prefers them."""

    name: str
    subjects: tuple[Subject, ...]
    told: Manifest | None = None


def find(
    text: str, *, data: Path, backends: Sequence[str] = (), variant: str | None = None
) -> Target:
    """Return what ``text`` names, narrowed to ``backends`` and ``variant`` where they are said.

    Raises:
        MisuseError: It is nothing of the kind, or has no such variant or backend.
        TrustError: A file holds other bytes than its manifest says.
        StorageError: A file cannot be read.

    """
    for name in backends:
        if name not in NAMES:
            raise MisuseError(f"no backend {name!r}; there are: {', '.join(NAMES)}")
    path = Path(text)
    if (path / manifest.NAME).is_file():
        found = _bundle(path)
    elif path.is_dir():
        raise MisuseError(f"{path}: expected a bundle, a folder with {manifest.NAME}")
    elif path.is_file():
        return _file(path, backends, variant)
    else:
        found = _installed(text, data)
    return _narrowed(found, backends, variant)


def _file(path: Path, backends: Sequence[str], variant: str | None) -> Target:
    if variant is not None:
        raise MisuseError(f"{path} is one file, and has no variants")
    if path.suffix not in _SUFFIXES and not backends:
        raise MisuseError(
            f"{path}: expected a .tflite, an .onnx, a bundle or a result of bench (.json)"
        )
    data = verified.whole(path, most=verified.MAX_MODEL_BYTES)
    one = Subject(name=path.name, backend="", model=data)
    names = backends or (backend_of(path, data),)
    return Target(name=str(path), subjects=tuple(replace(one, backend=name) for name in names))


def _bundle(folder: Path) -> Target:
    data = verified.whole(folder / manifest.NAME, most=manifest.MAX_BYTES)
    return _variants(str(folder), data, partial(verified.beside, folder))


def _installed(name: str, data: Path) -> Target:
    """Return the release that is proven on this device, else the one that runs."""
    tree = Tree(data)
    try:
        held = journal.read(tree.journal(check_id("model", name)))
    except (ValueError, LittoralError) as e:
        known = ", ".join(sorted(path.stem for path in journal.find(tree.journals)))
        raise NotFoundError(
            f"{name}: expected a file, a bundle, or a model that is installed in {data}; "
            f"found there: {known or 'none'}"
        ) from e
    chosen = held.running or held.good
    if chosen is None:
        raise NotFoundError(f"{name}: no release of it is proven on this device")
    told = verified.read(
        verified.open_manifest(tree, chosen.manifest),
        f"{name}: manifest",
        sha256=chosen.manifest,
        limit=manifest.MAX_BYTES,
    )
    found = _variants(name, told, partial(verified.read_file, tree), only=chosen.variant)
    hardware = tuple(replace(one, hardware=chosen.hardware) for one in found.subjects)
    return replace(found, subjects=hardware)


def _variants(
    name: str, data: bytes, read: Callable[[Manifest, str], bytes], *, only: str | None = None
) -> Target:
    told = Manifest.from_json(data)
    subjects = []
    for one in told.variants:
        hardware = _hardware(one)
        if only not in {None, one.id} or hardware is None:
            continue
        try:
            backend = backend_for(one)
        except BackendMissingError:
            continue
        test = told.selftest_for(one)
        subjects.append(
            Subject(
                name=f"{told.model}:{told.release} {one.id}",
                backend=backend,
                model=read(told, one.files[0]),
                manifest=data,
                variant=one.id,
                golden=(read(told, test.inputs), read(told, test.outputs)),
                hardware=hardware,
            )
        )
    if not subjects:
        raise MisuseError(
            f"{name}: none of its variants is for {machine.cpu()} or an accelerator: "
            f"{', '.join(one.id for one in told.variants)}"
        )
    return Target(name=name, subjects=tuple(subjects), told=told)


def _hardware(variant: Variant) -> str | None:
    """Return as what this machine would run ``variant``; None: not at all.

    Whether an accelerator is here, its backend finds out.
    """
    here = machine.cpu()
    wanted = variant.requires.hardware
    if here is not None and here in wanted:
        return here
    kinds = [name for names in _ANYWHERE.values() for name in names]
    return next((name for name in wanted if name in kinds), None)


def _narrowed(found: Target, backends: Sequence[str], variant: str | None) -> Target:
    subjects = found.subjects
    if variant is not None:
        subjects = tuple(one for one in subjects if one.variant == variant)
        if not subjects:
            known = ", ".join(one.variant or "" for one in found.subjects)
            raise MisuseError(
                f"{found.name}: no variant {variant!r} for this machine, only: {known}"
            )
    if backends:
        subjects = tuple(one for name in backends for one in _by(subjects, name))
    return replace(found, subjects=subjects)


def _by(subjects: Sequence[Subject], backend: str) -> Sequence[Subject]:
    """Return those that ``backend`` runs; where none is meant for it, all of the kind it reads.

    Raises:
        MisuseError: None is.

    """
    meant = [one for one in subjects if one.backend == backend]
    if meant:
        return meant
    alike = [one for one in subjects if (one.backend in _ONNX) == (backend in _ONNX)]
    if not alike:
        kind, there = "ONNX" if backend in _ONNX else "TFLite", ", ".join(s.name for s in subjects)
        raise MisuseError(f"{backend} runs {kind}, and none of the variants is: {there}")
    return [replace(one, backend=backend) for one in alike]
