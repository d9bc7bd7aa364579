"""agent.toml: what can be set, and what is said of what cannot."""

from pathlib import Path

import pytest

from littoral.errors import SettingsError
from littoral.tree import Tree
from littoral_agent import settings as configured
from littoral_agent.settings import Settings, data_folder, read


def test_a_device_needs_no_file(tmp_path: Path) -> None:
    assert read(Tree(tmp_path)) == Settings()


def test_the_file_in_the_data_folder_counts_unless_another_is_named(tmp_path: Path) -> None:
    Tree(tmp_path).settings.write_text('channel = "https"\nprobation_s = 5\n')
    other = tmp_path / "other.toml"
    other.write_text("keep = 0\n")
    found = read(Tree(tmp_path))
    assert (found.channel, found.probation_s) == ("https", 5.0)
    assert read(Tree(tmp_path), other).keep == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("poll_evry_s = 5", "did you mean 'poll_every_s'"),
        ('channel = "smoke"', "auto, mqtt, https"),
        ('hardware = ["tpu"]', "edgetpu-usb"),
        ("poll_every_s = 0", "above zero"),
        ("keep = 99", "0 to 16"),
        ("max_rate_bytes_per_s = 200", "more than 'min_rate_bytes_per_s'"),
        ("max_rate_bytes_per_s = -1", "'max_rate_bytes_per_s' should be 0 or more"),
        ("retry_most_s = -1", "'retry_most_s' should be 0 or more"),
        ("disk_reserve_bytes = -1", "'disk_reserve_bytes' should be 0 or more"),
        ("probation_s = inf", "numbers that end"),
        ("bytes_per_month = -1", "0 or more"),
        ('windows = ["mon 1:00-5:00"]', r"'windows': expected days and times, as 'mon-fri 01:00"),
        ('windows = ["mon 01:00-05:00", "tue 3-4"]', "'windows'.*'tue 3-4'"),
        ('sources = ["https", "https"]', "'sources' names 'https' 2 times"),
        ('sources = ["dir:/mnt", "https", "dir:/mnt/"]', "'sources' names 'dir:/mnt' 2 times"),
        ('zone = "Middle/Earth"', "no time zone 'Middle/Earth'"),
        ('pinned = ["digits"]', "'pinned': expected as 'digits:1', found 'digits'"),
        ('pinned = ["../etc:1"]', "'pinned'"),
        ('zone = "../../etc/passwd"', "no time zone"),
        ('zone = "/etc/localtime"', "no time zone"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    Tree(tmp_path).settings.write_text(text)
    with pytest.raises(SettingsError, match=words):
        read(Tree(tmp_path))


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        read(Tree(tmp_path), tmp_path / "none.toml")


def test_the_data_folder_can_be_said_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITTORAL_DATA", "/srv/littoral")
    assert data_folder() == Path("/srv/littoral")
    monkeypatch.delenv("LITTORAL_DATA")
    assert data_folder() == Path("/var/lib/littoral")


def test_the_machines_own_device_has_its_settings_in_etc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Tree(tmp_path / "data")
    own.root.mkdir()
    monkeypatch.setattr(configured, "DATA", own.root)
    monkeypatch.setattr(configured, "ETC", tmp_path / "agent.toml")
    (tmp_path / "agent.toml").write_text("keep = 7\n")
    assert read(own).keep == 7
    assert read(Tree(tmp_path / "other")).keep == 2
    own.settings.write_text("keep = 8\n")
    assert read(own).keep == 8
