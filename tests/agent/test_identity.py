"""Who the device is, as enrolment wrote it."""

from pathlib import Path

import pytest

from littoral.errors import StorageError
from littoral_agent.identity import Enrolment, Identity

WHO = Enrolment(device="pi-7", fleet="shore", incarnation=1, url="https://console:8443")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    assert identity.read() is None
    identity.write(WHO)
    assert identity.read() == WHO
    assert identity.enrolment.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"device": "../x", "fleet": "f", "incarnation": 1, "url": "https://x"}',
        '{"device": "x", "fleet": "f", "incarnation": 0, "url": "https://x"}',
        '{"device": "x", "fleet": "f", "incarnation": 1, "url": "ftp://x"}',
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str) -> None:
    Identity(tmp_path).enrolment.write_text(text)
    with pytest.raises(StorageError, match="run 'littoral enroll' again"):
        Identity(tmp_path).read()
