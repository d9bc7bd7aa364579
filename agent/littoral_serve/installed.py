"""What a device's journals call good: found and loaded when serve starts. Switches nothing.

A release that cannot be served is told in the log, and is no reason to serve none of the others.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from littoral import journal_log
from littoral.errors import JournalError, LittoralError, MisuseError, StorageError
from littoral.tree import Tree
from littoral.wire import journal
from littoral.wire.journal import Choice
from littoral_serve.running import loading
from littoral_serve.running.live import Live, Models, Resources

log = logging.getLogger(__name__)


def load(tree: Tree, *, models: Models, resources: Resources) -> Iterator[Live]:
    """Walk the good releases of the models in ``tree``, but those that ``models`` has already."""
    if resources.engines is not None and resources.engines.is_dir():
        from littoral_serve.running.engines import Engines

        Engines(resources.engines).collect(lambda model: tree.blob(model).exists())

    for path in _journals(tree):
        try:
            good = _good(path)
            if models.running(path.stem) is not None:
                raise MisuseError("a file was named for it")
            if good is None:
                continue
            which = {"manifest": good.manifest, "variant": good.variant}
            one = loading.load(tree, model=path.stem, **which, resources=resources)
        except LittoralError as e:
            log.error(  # noqa: TRY400 (no traceback: it says it all)
                "%s is not served: %s [%s]",
                *(path.stem, e, e.code),
                extra=journal_log.about(path.stem),
            )
        else:
            yield one


def _journals(tree: Tree) -> list[Path]:
    try:
        return list(journal.find(tree.journals))
    except StorageError as e:
        log.error("no installed model is served: %s [%s]", e, e.code)  # noqa: TRY400 (as above)
        return []


def _good(path: Path) -> Choice | None:
    """Return what the journal in ``path`` calls good; if it is lost, what was proven last."""
    try:
        return journal.read(path).good
    except JournalError as e:
        held = journal.read_proven(path)
        if held is None:
            raise
        log.warning(
            "%s: %s; serving what was proven last",
            *(path.stem, e),
            extra=journal_log.about(path.stem, release=held.good.release if held.good else None),
        )
        return held.good
