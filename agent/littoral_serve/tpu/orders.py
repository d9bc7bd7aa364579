"""What a TPU's child is to do, and how long that may take. Values: nothing here does anything."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from littoral_serve.tpu import messages

Answer = messages.Message | None  # None: the child is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long things may take; in docs/edgetpu.md by these names."""

    open_s: float = 30.0  # a stick gets its firmware first
    load_s: float = 60.0
    invoke_s: float = 5.0
    wait_s: float = 30.0  # for a TPU, where nothing else runs the model
    first_pause_s: float = 1.0
    most_pause_s: float = 60.0
    steady_s: float = 60.0
    address_space_bytes: int = 2048 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the child shall do, within ``limit_s``; ``then`` is told once what became of it.

    The descriptors are closed when it was sent, or will never be.
    """

    say: messages.Message
    limit_s: float
    then: Callable[[Answer], None]
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """The TPU that a trial may open."""

    library: str = ""  # another delegate's; it has no devices to choose among
    device: str = ""
    taken: tuple[str, ...] = ()
