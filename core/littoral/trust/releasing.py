"""Prepares the next metadata of a model for several people to sign: a release, a floor, a life.

As littoral.trust.ceremony, it needs no secret key and decides nothing.
"""

import copy
from datetime import datetime, timedelta
from pathlib import Path

from littoral.errors import MisuseError
from littoral.trust.ceremony import next_version
from littoral.trust.drafts import Draft
from littoral.trust.publishing import Encode, Published, propose
from littoral.trust.repository import Repository, releases
from littoral.trust.rotation import ANCHORED, ONLINE, check_reached, set_floor
from littoral.trust.signing import TARGETS_LIFE


def draft_model(
    folder: Path,
    model: str,
    *,
    bundle: Path | None = None,
    floor: int | None = None,
    force: bool = False,
    life: timedelta | None = None,
    now: datetime,
) -> Draft:
    """Return the next metadata of ``model``: with a release, a floor, or only a longer life.

    Raises:
        MisuseError: There is no such model, or the floor is above every release.
        RollbackError: A floor never falls, and releases only rise.

    """
    repository = Repository(folder)
    by = repository.targets(repository.root())
    held = repository.models(by.signed)
    if model in {*ONLINE, *ANCHORED}:
        raise MisuseError(
            f"expected root, targets or a model, found {model!r}: the console signs that; "
            "with which key is said by: littoral repo draft DIR root"
        )
    if model not in held:
        raise MisuseError(f"no model {model!r}; there are: {', '.join(held) or 'none'}")
    if bundle is not None:
        draft, published = draft_release(folder, bundle, floor=floor, life=life, now=now)
        if published.model != model:
            raise MisuseError(f"{bundle}: expected a release of {model}, found {published.model}")
        return draft
    before = held[model]
    metadata = copy.deepcopy(before)
    if floor is not None:
        newest = max(releases(metadata.signed, model), default=0)
        if not force:
            check_reached(floor, model, newest=newest)
        set_floor(metadata.signed, model, floor=floor)
    version = before.signed.version + 1
    next_version(metadata, version=version, life=life or TARGETS_LIFE, now=now)
    return Draft(role=model, before=before, by=by, metadata=metadata)


def draft_release(
    folder: Path,
    bundle: Path,
    *,
    floor: int | None = None,
    life: timedelta | None = None,
    encode: Encode | None = None,
    now: datetime,
) -> tuple[Draft, Published]:
    """Return the next metadata of the bundle's model, and what was put into the repository for it.

    Raises:
        MisuseError, RollbackError, HashError: As ``publishing.publish``.

    """
    metadata, published = propose(folder, bundle, floor=floor, encode=encode, now=now)
    repository = Repository(folder)
    by = repository.targets(repository.root())
    before = repository.models(by.signed)[published.model]
    version = before.signed.version + 1
    next_version(metadata, version=version, life=life or TARGETS_LIFE, now=now)
    return Draft(role=published.model, before=before, by=by, metadata=metadata), published
