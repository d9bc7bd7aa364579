"""Puts what enough people have signed into the repository, if the whole of it holds then.

What is collected at once comes in together, or not at all; a kill in between is followed by
collecting once more.
"""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, Targets

from littoral.errors import MixError, SignatureError
from littoral.trust import rules
from littoral.trust.drafts import Draft, called, merge
from littoral.trust.founding import make_folders
from littoral.trust.metadata import canonical
from littoral.trust.repository import Repository
from littoral.trust.signing import put


def collect(folder: Path, drafts: Iterable[Draft], *, now: datetime) -> tuple[Draft, ...]:
    """Put what ``drafts`` say into the repository, all of it or nothing. Can be done twice.

    Raises:
        SignatureError: Too few have signed; says who can.
        MixError: Another version was put there meanwhile.
        TrustError: The repository would not hold.

    """
    repository, merged = Repository(folder), merge(drafts)
    for draft in merged:
        rules.fresh(draft.metadata.signed, draft.role, now=now)
        for quorum in draft.quorums:
            if quorum.missing:
                able = ", ".join(called(key) for key in quorum.unsigned.values())
                raise SignatureError(
                    f"{draft.name}: signed by {len(quorum.signed)} of the {quorum.threshold} that "
                    f"{quorum.whose} asks for; {quorum.missing} more of: {able}"
                )
    new = [draft for draft in merged if not _is_there(repository, draft)]
    _check_together(repository, merged)
    make_folders(repository)
    for draft in sorted(new, key=_order):
        signed = Metadata(draft.metadata.signed, draft.verified)
        put(repository, draft.role, signed)
    return merged


def _order(draft: Draft) -> int:
    """Put what is named before what names it; root last: until then nobody is trusted anew."""
    return {Root.type: 2, Targets.type: 1}.get(draft.role, 0)


def _is_there(repository: Repository, draft: Draft) -> bool:
    version = draft.metadata.signed.version
    newest = max(repository.versions().get(draft.role, (0,)))
    if newest == version - 1:
        return False
    kind: Any = type(draft.metadata.signed)
    held = repository.newest(kind, draft.role)
    if held is not None and newest == version:
        signed = canonical(held, draft.role)
        if signed == canonical(draft.metadata, draft.role):
            return True
    raise MixError(
        f"{draft.name}: the repository is at version {newest}; draft it anew from what is there now"
    )


def _check_together(repository: Repository, drafts: Sequence[Draft]) -> None:
    """Check that what is held and what is new hold together, beside the repository."""
    with tempfile.TemporaryDirectory() as name:
        beside = Repository(Path(name))
        beside.metadata.mkdir()
        for path in repository.metadata.glob("*.json"):
            shutil.copyfile(path, beside.metadata / path.name)
        for draft in drafts:
            put(beside, draft.role, Metadata(draft.metadata.signed, draft.verified))
        root = beside.root()
        rules.anchors(root)
        models = beside.models(beside.targets(root).signed)
    strangers = {draft.role for draft in drafts} - {Root.type, Targets.type, *models}
    if strangers:
        raise SignatureError(f"nobody is trusted with {', '.join(sorted(strangers))}")
