"""Looks for the director's word on media: folders whose file ``director/<device>.json`` says it.

It believes nothing, and begins nothing because a stick was plugged in: only folders that this
device's own settings name are looked at, or one that somebody at the board holds out.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from littoral.errors import ForgottenError, LittoralError, UnreachableError
from littoral_agent.folder import Folder
from littoral_agent.outline import MAX_DOCUMENT

STOP_S: Final = 10.0

log = logging.getLogger(__name__)


class Media:
    """A thread that looks at ``folders`` every ``every_s``; none where there are none.

    ``heard`` takes what is there and was not before, ``unheard`` why it cannot be taken.
    """

    def __init__(
        self,
        folders: tuple[Folder, ...],
        device: str,
        *,
        heard: Callable[[bytes], None],
        unheard: Callable[[LittoralError], None],
        every_s: float,
    ) -> None:
        self._folders, self._device = folders, device
        self._heard, self._unheard, self._every_s = heard, unheard, every_s
        self._seen: dict[str, bytes] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)

    def start(self) -> None:
        if self._folders:
            self._thread.start()

    def stop(self) -> None:
        """End; a medium that does not answer is left to itself."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def look(self) -> None:
        """Look once."""
        for folder in self._folders:
            try:
                data = word(folder, self._device)
            except (ForgottenError, UnreachableError) as e:
                log.debug("%s", e)  # no stick, or none for this device
                continue
            except LittoralError as e:
                self._unheard(e)
                continue
            if data != self._seen.get(str(folder)):
                self._seen[str(folder)] = data
                self._heard(data)

    def _run(self) -> None:
        self.look()
        while not self._stopped.wait(self._every_s):
            self.look()


def word(folder: Folder, device: str) -> bytes:
    """Return what ``folder`` has of the director for ``device``. Raises as Folder does."""
    return folder(f"director/{device}.json", limit=MAX_DOCUMENT)
