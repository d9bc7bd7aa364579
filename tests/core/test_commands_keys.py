"""``littoral keys``."""

import json
import stat
from pathlib import Path

import pytest

from littoral.door import main


@pytest.mark.parametrize(
    ("kind", "scheme"), [("ed25519", "ed25519"), ("p256", "ecdsa-sha2-nistp256")]
)
def test_a_key_is_made_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, scheme: str
) -> None:
    path = tmp_path / "keys" / "one.pem"
    assert main(["keys", "new", str(path), "--type", kind, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert main(["keys", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["keyid"] == made["keyid"]
    assert shown["public"]["scheme"] == scheme
    assert main(["keys", "show", str(path)]) == 0
    said = capsys.readouterr().out
    assert made["keyid"] in said
    assert "PRIVATE" not in said


def test_a_key_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.pem"
    assert main(["keys", "new", str(path)]) == 0
    before = path.read_bytes()
    assert main(["keys", "new", str(path)]) == 2
    assert capsys.readouterr().err.endswith("name another file [usage]\n")
    assert path.read_bytes() == before


def test_what_is_no_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.pem").write_text("no key")
    assert main(["keys", "show", str(tmp_path / "one.pem")]) == 2
    assert "expected a secret key in PEM" in capsys.readouterr().err
    assert main(["keys", "new", str(tmp_path / "two.pem"), "--type", "rsa"]) == 2
