"""serve.toml."""

from pathlib import Path

import pytest

from littoral.errors import SettingsError
from littoral_serve import settings
from littoral_serve.settings import Settings


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('http = "127.0.0.1:0"\nwindow_s = 5\nhosts = ["pi"]\n')
    found = settings.load(file)
    assert (found.http, found.window_s, found.hosts) == ("127.0.0.1:0", 5.0, ("pi",))
    assert found.max_body_bytes == Settings().max_body_bytes
    assert settings.load(None) == Settings()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("widow_s = 5", "no setting 'widow_s'; did you mean 'window_s'?"),
        ("window_s = 0", "'window_s' should be more than 0"),
        ('window_s = "5"', "'window_s' should be float"),
        ("threads = 0", "'threads' should be from 1 to 256"),
        ("threads = 99999", "'threads' should be from 1 to 256"),
        ("timings_backlog_bytes = -5", "'timings_backlog_bytes' should be at least 0"),
        ("bodies_bytes = -1", "'bodies_bytes' should be at least 0"),
        ("queue_bytes = -1", "'queue_bytes' should be at least 0"),
        ('http = "8501"', "'http': expected HOST:PORT, as 127.0.0.1:8080, found '8501'"),
        ('http = "x:99999"', "'http': expected HOST:PORT"),
        ("window_s =", "Invalid value"),
        ('edgetpus = ["usb"]', "'edgetpus': expected usb:0, pci:1, …, each once, found 'usb'"),
        ('edgetpus = ["usb:0", "usb:0"]', "each once, found 'usb:0'"),
        ('delegates = ["npu=libnpu.so"]', "'delegates': expected NAME=/PATH, each once"),
        ('delegates = ["edgetpu=/lib/x.so"]', "found 'edgetpu=/lib/x.so'"),
        ("edgetpu_invoke_s = 0", "'edgetpu_invoke_s' should be more than 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(line)
    with pytest.raises(SettingsError) as told:
        settings.load(file)
    assert str(told.value).startswith(str(file))
    assert words in str(told.value)


def test_what_is_there_and_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    """Serve would go on as its owner did not want it."""
    file = tmp_path / "serve.toml"
    assert settings.found(tmp_path) is None
    file.mkdir()
    with pytest.raises(SettingsError, match=r"serve\.toml: expected a file"):
        settings.found(tmp_path)
    file.rmdir()
    file.symlink_to("nowhere.toml")
    with pytest.raises(SettingsError, match="No such file"):
        settings.found(tmp_path)
    (tmp_path / "nowhere.toml").write_text("")
    assert settings.found(tmp_path) == file
