"""What an agent hears and takes without any network: folders that it looks into, and its desk."""

import logging
from collections.abc import Callable
from functools import partial

from littoral.errors import LittoralError, MisuseError
from littoral.tree import Tree
from littoral.wire.messages import Benched
from littoral_agent.desk import Desk
from littoral_agent.folder import Folder
from littoral_agent.life import Life
from littoral_agent.media import Media
from littoral_agent.receipt import Receipts, Told
from littoral_agent.reports import Reports
from littoral_agent.sources import Sources
from littoral_agent.taking import Taken, Taking, View
from littoral_agent.watcher import Watcher
from littoral_agent.wishes import Wishes
from littoral_agent.worker import Worker

log = logging.getLogger(__name__)


class Offline:
    """Of ``device``; None: it is nobody's, and no word is for it."""

    def __init__(
        self,
        tree: Tree,
        device: str | None,
        sources: Sources | None,
        *,
        worker: Worker,
        wishes: Wishes | None,
        life: Life,
        watcher: Watcher,
        receipts: Receipts | None,
        reports: Reports,
        unheard: Callable[[LittoralError], None],
        every_s: float,
    ) -> None:
        self._worker, self._wishes, self._life, self._watcher = worker, wishes, life, watcher
        hear = partial(self._worker.hear, offline=True)
        folders = sources.folders if sources else ()
        self._media = Media(
            folders, device or "nobody", heard=hear, unheard=unheard, every_s=every_s
        )
        self._taking: Taking | None = None
        if device is not None and sources is not None:
            self._taking = Taking(device, sources, hear=hear, view=self._view)
        self._receipts, self._reports = receipts, reports
        self._desk = Desk(tree.desk, self.take, self.receipt, self.benched)

    def start(self) -> None:
        self._media.start()
        self._desk.start()

    def stop(self) -> None:
        self._desk.stop()
        self._media.stop()

    def tick(self) -> None:
        """See who came to the desk."""
        self._desk.tick()

    def changed(self) -> None:
        """Anything may be other than it was: what came of a medium, perhaps. Any thread."""
        if self._taking is not None:
            self._taking.changed()

    def take(self, folder: Folder, wait_s: float) -> Taken:
        """Take a medium that somebody holds out.

        Raises:
            MisuseError: The device is nobody's, and no word can be for it.

        """
        if self._taking is None:
            raise MisuseError("this device is not enrolled; run 'littoral enroll'")
        return self._taking.take(folder, wait_s=wait_s)

    def receipt(self) -> tuple[Told | None, bytes]:
        """Return what this device has to tell, for whoever holds the medium to leave there."""
        if self._receipts is None:
            return None, b""
        self._watcher.ask()  # what is carried is read weeks later
        try:
            return self._receipts.make()
        except LittoralError as e:
            log.warning("no receipt: %s [%s]", e, e.code)
            return Told.not_so(e), b""

    def benched(self, found: Benched) -> None:
        """Tell the console what somebody measured here. Raises MisuseError as ``take`` does."""
        if self._taking is None:
            raise MisuseError("this device is not enrolled; run 'littoral enroll'")
        self._reports.benched(found)

    def _view(self) -> View:
        wishes = self._wishes
        return View(
            resting=self._worker.resting,
            disbelieved=wishes.disbelieved if wishes else None,
            unreached=wishes.unreached if wishes else None,
            journals=dict(self._life.journals),
            refused=dict(wishes.refused) if wishes else {},
            serving=self._watcher.serving is not None,
            switching=self._life.agenda.switching,
        )
