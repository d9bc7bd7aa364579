"""strace's words, a call at a time."""

import re
from typing import Final

_CALL: Final = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?: .*)?$", re.DOTALL)
_BROKEN: Final = " <unfinished ...>"
_ARGUMENT: Final = re.compile(r'"(?:\\x[0-9a-f]{2})*"(?:\.\.\.)?|[^,\s][^,]*')


class Words:
    """Reads the lines of one trace, in their order."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}  # by thread: what a call was begun with

    def call(self, line: str) -> tuple[str, list[str], int] | None:
        """Return a call's name, its arguments and its result; None if ``line`` is not its end."""
        found = _CALL.match(self._whole(line))
        if found is None:
            return None
        return found[1], [_plain(one) for one in _ARGUMENT.findall(found[2])], int(found[3], 0)

    def _whole(self, line: str) -> str:
        """Return a call whose line another thread broke when it ends, nothing when it begins."""
        thread = line.partition(" ")[0]
        if line.endswith(_BROKEN):
            self._begun[thread] = line.removesuffix(_BROKEN)
            return ""
        _, resumed, rest = line.partition(" resumed>")
        return self._begun.pop(thread) + rest if resumed else line


def _plain(argument: str) -> str:
    """Return what stands between quotes, a character for each byte."""
    if not argument.startswith('"'):
        return argument.strip()
    return bytes.fromhex(argument.strip('".').replace("\\x", "")).decode("latin-1")
