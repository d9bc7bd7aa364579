"""LiteRT with an Edge TPU. What was not compiled for one would run on the processor, unnoticed.

An Edge TPU is opened by its name (usb:0, pci:1), which is its place in what the library lists,
and is known by its path, which it keeps. The library may end this process at any time.
"""

import ctypes
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from littoral.errors import (
    BackendError,
    BackendMissingError,
    NotDelegatedError,
    WrongRuntimeError,
)
from littoral.model import libedgetpu
from littoral.model.backends.litert import LiteRTSession
from littoral.model.compiled import OPERATOR, min_runtime_version
from littoral.model.libedgetpu import Device
from littoral.model.plugin import Delegate

LIBRARY: Final = libedgetpu.LIBRARY

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tpu:
    """One that is open in this process, until this and all sessions on it are gone."""

    name: str
    device: Device
    version: str  # as the library says it
    listed: int
    delegate: Delegate = field(repr=False, compare=False)


class EdgeTpuSession(LiteRTSession):
    """One process at a time has an Edge TPU; its sessions share it."""

    def __init__(
        self, model: bytes, *, threads: int = 1, device: str = "", taken: Collection[str] = ()
    ) -> None:
        """Load ``model`` on a TPU that ``open_tpu`` opens, or has open already.

        Raises:
            WrongRuntimeError: It was compiled for a newer library; nothing was opened.
            BackendMissingError: There is no TPU that can be opened.
            NotDelegatedError: The library runs nothing of it.
            BackendError: It refuses it.

        """
        _check_version(model, libedgetpu.version(_library()))
        tpu = open_tpu(device, taken=taken)
        try:
            super().__init__(model, threads=threads, delegates=(tpu.delegate,))
        except BackendError as e:
            # LiteRT's own words: ours are for whoever meant the processor to run it.
            if f"unresolved custom op: {OPERATOR}" not in str(e.__cause__):
                raise
            raise NotDelegatedError(f"{LIBRARY} took over none of its operators") from e
        # One that the library leaves is none that LiteRT could run: then it has just refused.
        if OPERATOR not in self.operators:
            raise NotDelegatedError(
                f"none of its {len(self.operators)} operators was compiled for an Edge TPU; "
                "compile it with edgetpu_compiler"
            )


def open_tpu(wanted: str = "", *, taken: Collection[str] = ()) -> Tpu:
    """Open the TPU ``wanted``: a name, a kind, a path. Where it is empty, the first that can be.

    Those whose paths are ``taken`` are left alone: others of ours have them.

    Raises:
        BackendMissingError: None can be opened.

    """
    library = _library()
    listed = libedgetpu.devices(library)
    closed = []
    for name, device in _choices(libedgetpu.named(listed).items(), wanted, taken):
        try:
            delegate = _delegate(name)
        except BackendMissingError:
            closed.append(name)
            continue
        return Tpu(name, device, libedgetpu.version(library), len(listed), delegate)
    raise BackendMissingError(f"no Edge TPU can be opened: {_why(wanted, listed, closed)}")


def needed(why: BackendMissingError) -> BackendMissingError:
    """Return what it means for a file that was compiled for a TPU that there is none."""
    return BackendMissingError(
        f"it was compiled for an Edge TPU, and {why} Without one, take the file that it was "
        "compiled from"
    )


def _choices(
    names: Collection[tuple[str, Device]], wanted: str, taken: Collection[str]
) -> Iterator[tuple[str, Device]]:
    for name, device in names:
        if wanted in {"", device.kind, name, device.path} and device.path not in taken:
            yield name, device


def _why(wanted: str, listed: Collection[Device], closed: Collection[str]) -> str:
    if closed:
        return f"{', '.join(closed)} is there; is it in nobody's use, and may serve open it?"
    if not listed:
        return f"{LIBRARY} lists none; is it plugged in, and does 'littoral doctor' see it?"
    return f"{LIBRARY} lists {len(listed)}, and none of them as {wanted or 'free'}"


def _check_version(model: bytes, said: str) -> None:
    needed, here = min_runtime_version(model), libedgetpu.runtime_version(said)
    if here is not None and needed > here:
        raise WrongRuntimeError(
            f"it was compiled for runtime version {needed} of {LIBRARY}, and {here} is here; "
            f"install a newer one, or compile it with --min_runtime_version {here}"
        )


def _library() -> ctypes.CDLL:
    return _opened(lambda: libedgetpu.load(LIBRARY))


def _delegate(name: str) -> Delegate:
    return _opened(lambda: Delegate(LIBRARY, {"device": name} if name else None))


def _opened(open_it: Callable[[], T]) -> T:
    try:
        return open_it()
    except (OSError, ValueError, AttributeError) as e:
        why = " ".join(str(e).split()).removeprefix(f"{LIBRARY}: ") or type(e).__name__
        raise BackendMissingError(
            f"no Edge TPU can be opened ({LIBRARY}: {why}); is it there, and in nobody's use?"
        ) from e
