"""What a victim says into its own trace: who asks for an fsync, and what is promised from then on.

A mark is a look at a file that is nowhere: strace sees it, and nobody else minds. Promised is
what a function has done that says it is durable on return: from there on a power cut may
leave that or something later, and never what was before it.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, Final

from faults.teeth import break_
from littoral import durable
from littoral_agent import identity, part, renewal, spool
from littoral_agent.spool import Spool

MARKS: Final = "/littoral-marks/"
_PASSED_ON: Final = {"contextlib", "littoral.durable"}  # they do what others ask for


def mark(kind: str, about: object = "") -> None:
    """Say ``kind`` into the trace: site, kept, told, taken."""
    os.access(f"{MARKS}{kind}/{str(about).lstrip('/')}", os.F_OK)


def begin(*, acknowledged: bool = False) -> None:
    """Mark all that this process does.

    ``acknowledged``: a console takes each report at once, and SQLite folds its log into the file
    every few pages, as it otherwise does after weeks.
    """
    if acknowledged:
        break_(spool, "_SETUP", f"{spool._SETUP}PRAGMA wal_autocheckpoint = 4;")
    break_(os, "fsync", _sited(os.fsync))
    break_(os, "fdatasync", _sited(os.fdatasync))
    for name in ("replace_from", "remove", "set_aside", "make_folder"):
        break_(durable, name, _kept(getattr(durable, name), lambda path, *_, **__: (path,)))
    _keeps(part.Part, "keep", lambda one: (one._whole,))
    _keeps(identity.Identity, "adopt", lambda who: who.files)
    _keeps(renewal.Files, "keep", lambda one, _: (one.newer.certificate, one.newer.key))
    add = Spool.add

    def told(held: Spool, *arguments: Any, **more: Any) -> bool:
        taken = add(held, *arguments, **more)
        mark("told")
        if acknowledged:
            mark("taken")
            held.acknowledge({one.stream: one.sequence for one in held.messages({}, limit=999)})
        return taken

    break_(Spool, "add", told)


def _keeps(cls: type, name: str, paths: Callable[..., tuple[Path, ...]]) -> None:
    break_(cls, name, _kept(getattr(cls, name), paths))


def _kept(function: Callable[..., Any], paths: Callable[..., tuple[Path, ...]]) -> Any:
    @wraps(function)
    def marked(*arguments: Any, **more: Any) -> Any:
        result = function(*arguments, **more)
        for path in paths(*arguments, **more):
            mark("kept", path)
        return result

    return marked


def _sited(function: Callable[[int], None]) -> Any:
    def marked(fd: int) -> None:
        mark("site", _site())
        function(fd)

    return marked


def _site() -> str:
    """Return which function of durable asks, and on whose behalf."""
    names: list[str] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module not in {__name__, "contextlib"}:
            name = f"{module.removeprefix('littoral.')}.{frame.f_code.co_qualname}"
            names += [name] if names[-1:] != [name] else []  # it may call itself
            if module not in _PASSED_ON:
                break
        frame = frame.f_back
    return " < ".join(names)
