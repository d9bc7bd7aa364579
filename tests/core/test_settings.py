"""Settings files: what is wrong is said with the file and the setting."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from littoral import settings
from littoral.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    poll_every_s: float = 300.0
    hardware: tuple[str, ...] = ()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def test_what_stands_in_the_file_is_set_and_the_rest_has_its_default(path: Path) -> None:
    path.write_text('hardware = ["cpu-x86_64"]\n')
    assert settings.read(Config, path) == Config(hardware=("cpu-x86_64",))


def test_a_mistyped_setting_is_named_with_the_one_that_was_meant(path: Path) -> None:
    path.write_text("poll_evry_s = 5\n")
    with pytest.raises(SettingsError) as e:
        settings.read(Config, path)
    assert str(e.value) == f"{path}: no setting 'poll_evry_s'; did you mean 'poll_every_s'?"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"poll_every_s = 'often'", "'poll_every_s' should be float, not 'often'"),
        (b"poll_every_s = nan", "numbers that end, found nan"),
        (b"poll_every_s = +inf", r"numbers that end, found \+inf"),
        (b"poll_every_s = 1e999", "numbers that end, found 1e999"),
        (b"poll_every_s = 1" + b"0" * 400, "'poll_every_s': 1000000+… needs more than 64 bits"),
        (b"poll_every_s = 1" + b"0" * 5000, "numbers of at most 64 bits, found more"),
        (b"poll_every_s = ", "Invalid value"),
        (b"\xff\xfe", "utf-8"),
        (b"hardware = " + b"[" * 9000, "lists in lists"),
        (b"#" * (settings.MOST_BYTES + 1), "at most 1048576 bytes"),
    ],
)
def test_what_is_no_such_file_is_refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        settings.read(Config, path)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"agent\.toml"):
        settings.read(Config, path)


def test_what_has_no_end_is_not_read_to_the_end() -> None:
    with pytest.raises(SettingsError, match="at most 1048576 bytes"):
        settings.read(Config, Path("/dev/zero"))
