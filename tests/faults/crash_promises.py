"""What a device has promised by the moment of a power cut, and whether a state keeps it.

Promised is what a function has done that is durable on return (faults.crash_marks): what the
file held then, or whatever it was made to hold since.
"""

from collections.abc import Iterator

from faults.crash_disk import State


class Promises:
    """What each file may hold that was promised."""

    def __init__(self) -> None:
        self._may: dict[str, set[bytes | None]] = {}

    def kept(self, path: str, now: State) -> None:
        """From here on, ``path`` is as it is ``now``, or newer."""
        self._may[path] = {_content(now, path)}

    def moved(self, call: str, now: State) -> None:
        """Something changed by ``call``: a power cut may leave that, too.

        What is written where it stands, a part that arrives, may be anything from there on.
        """
        self._may.pop(call.partition(" ")[2].rpartition(", ")[0], None)
        for path, may in self._may.items():
            may.add(_content(now, path))

    def broken(self, state: State) -> Iterator[str]:
        """Name what ``state`` does not hold as it was promised."""
        for path, may in self._may.items():
            if _content(state, path) not in may:
                yield f"forgotten: {path} is not what it was promised to be"


def _content(state: State, path: str) -> bytes | None:
    """Return what ``path`` holds: a folder is there, or is not."""
    if path not in state:
        return None
    held = state[path]
    return b"" if held is None else held.digest
