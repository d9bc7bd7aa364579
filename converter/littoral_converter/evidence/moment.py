"""When a release is said to be made: now, or when $SOURCE_DATE_EPOCH says."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from littoral.errors import MisuseError

VARIABLE: Final = "SOURCE_DATE_EPOCH"  # reproducible-builds.org


def now(environment: Mapping[str, str] = os.environ) -> datetime:
    """Return the moment, in UTC and whole seconds.

    Raises:
        MisuseError: The variable holds something else than seconds since 1970.

    """
    said = environment.get(VARIABLE)
    if not said:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(said), UTC)
    except (ValueError, OverflowError, OSError) as e:
        raise MisuseError(f"{VARIABLE}: expected seconds since 1970, found {said[:40]!r}") from e
