"""What a card or an image brings along so that its board enrols by itself: one small file.

systemd hands it over below ``$CREDENTIALS_DIRECTORY``, where this process alone can read it.
It is read here, strictly, and used by littoral_agent.enrolling.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral import settings
from littoral.bundle.manifest import check_id

NAME: Final = "littoral.enrolment"
_MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    url: str  # of the console's listener for devices
    token: str
    name: str | None = None  # what the device is to be called; None: as the token or the host says

    def __post_init__(self) -> None:
        if self.name is not None:
            check_id("name", self.name)


def path() -> Path | None:
    """Return where the credential lies, None when this process was given none."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    found = Path(folder) / NAME
    return found if found.exists() else None


def read(file: Path) -> Credential:
    """Return what is in ``file``.

    Raises:
        SettingsError: It cannot be read, is too long, or says something else.

    """
    return settings.read(Credential, file, most_bytes=_MAX_BYTES)
