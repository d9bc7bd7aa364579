"""``littoral repo`` and ``littoral keys`` as a person or a program uses them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from littoral.door import main
from littoral.trust import writer
from simulators.repository import tiny_bundle


class Terminal:
    """Runs the command in a folder, as a shell there would."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str, code: int = 0) -> str:
        found = main(list(args))
        out, err = self._capsys.readouterr()
        assert found == code, err
        return err if code else out

    def json(self, *args: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self(*args, "--json"))
        return value


@pytest.fixture
def littoral(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(capsys)


def init(littoral: Terminal) -> dict[str, Any]:
    return littoral.json(
        "repo", "init", "repo", "--offline", "off", "--online", "on", "--fleet", "shore"
    )


def test_a_repository_is_made_delegated_renewed_and_verified(littoral: Terminal) -> None:
    made = init(littoral)
    assert (made["fleet"], len(made["root_sha256"])) == ("shore", 64)
    delegated = littoral.json("repo", "delegate", "repo", "digits", "--offline", "off")
    assert delegated["key"] == "off/digits-1.pem"
    assert littoral.json("repo", "renew", "repo", "--online", "on") == {
        "snapshot": 1,
        "timestamp": 1,
    }
    roles = littoral.json("repo", "status", "repo")["roles"]
    assert [row["role"] for row in roles] == ["root", "targets", "digits", "snapshot", "timestamp"]
    verified = littoral.json("repo", "verify", "repo")
    assert verified == {"ok": True, "missing_encodings": 0, "roles": roles}


def test_people_read_a_table_and_what_to_do_next(littoral: Terminal) -> None:
    said = littoral(
        "repo", "init", "repo", "--offline", "off", "--online", "on", "--fleet", "shore"
    )
    assert "Next: littoral repo delegate repo" in said
    littoral("repo", "delegate", "repo", "digits", "--offline", "off")
    table = littoral("repo", "status", "repo").splitlines()
    assert table[0].split() == [
        "ROLE",
        "VERSION",
        "EXPIRES",
        "DAYS",
        "LEFT",
        "SIGNED",
        "BY",
        "KEYS",
        "RELEASES",
    ]
    assert table[1].split()[:2] == ["root", "1"]
    assert "2 of 3" in table[1]
    assert "all of it holds" in littoral("repo", "verify", "repo")


def test_releases_stand_in_the_table(littoral: Terminal, tmp_path: Path) -> None:
    init(littoral)
    littoral("repo", "delegate", "repo", "digits", "--offline", "off")
    for release in (1, 7):
        bundle = tmp_path / f"b{release}"
        bundle.mkdir()
        tiny_bundle(bundle, model="digits", release=release)
        writer.publish(Path("repo"), bundle, offline=Path("off"))
    assert littoral("repo", "status", "repo").rstrip().endswith("1, 7")


@pytest.mark.parametrize("role", ["targets", "digits", "timestamp", "time"])
def test_a_key_is_rotated(littoral: Terminal, role: str) -> None:
    init(littoral)
    littoral("repo", "delegate", "repo", "digits", "--offline", "off")
    done = littoral.json("repo", "rotate", "repo", role, "--offline", "off", "--online", "on")
    assert littoral.json("keys", "show", done["key"])["keyid"] == done["new"] != done["old"]
    littoral("repo", "verify", "repo")


def test_lives_are_extended_and_floors_raised(littoral: Terminal) -> None:
    init(littoral)
    littoral("repo", "delegate", "repo", "digits", "--offline", "off")
    rows = littoral.json("repo", "extend", "repo", "--offline", "off")["roles"]
    assert {row["role"]: row["version"] for row in rows} == {"root": 2, "targets": 3, "digits": 2}
    floor = ("repo", "floor", "repo", "digits")
    forced = littoral.json(*floor, "4", "--offline", "off", "--force")
    assert forced == {"model": "digits", "floor": 4}
    assert "[rollback]" in littoral(*floor, "3", "--offline", "off", code=1)


def test_a_floor_above_every_release_is_a_slip_unless_forced(
    littoral: Terminal, tmp_path: Path
) -> None:
    """It never falls: with 70 for 7, nothing of the model could be activated any more."""
    init(littoral)
    littoral("repo", "delegate", "repo", "digits", "--offline", "off")
    bundle = tmp_path / "b7"
    bundle.mkdir()
    tiny_bundle(bundle, model="digits", release=7)
    writer.publish(Path("repo"), bundle, offline=Path("off"))
    before = littoral.json("repo", "status", "repo")
    floor = ("repo", "floor", "repo", "digits")
    said = littoral(*floor, "70", "--offline", "off", code=2)
    assert "at most 7" in said
    assert "--force" in said
    assert littoral.json("repo", "status", "repo") == before
    littoral(*floor, "7", "--offline", "off")
    littoral(*floor, "70", "--offline", "off", "--force")


def test_what_is_wrong_is_one_line_with_a_code(littoral: Terminal) -> None:
    assert "[usage]" in littoral("repo", "status", "nowhere", code=2)
    assert "[usage]" in littoral("repo", "init", "repo", code=2)
    init(littoral)
    for args in (
        ("repo", "delegate", "repo", "Digits", "--offline", "off"),
        ("repo", "delegate", "repo", "digits", "--offline", "elsewhere"),
        ("repo", "renew", "repo", "--online", "elsewhere"),
        ("repo", "rotate", "repo", "root", "--offline", "off"),
        ("repo", "floor", "repo", "digits", "0", "--offline", "off"),
    ):
        said = littoral(*args, code=2)
        assert said.startswith("error: ")
        assert said.count("\n") == 1


def test_what_ends_soon_is_said_with_what_to_do(littoral: Terminal) -> None:
    init(littoral)
    now = datetime.now(UTC) - timedelta(days=310)
    writer.extend(Path("repo"), offline=Path("off"), now=now)
    writer.renew(Path("repo"), online=Path("on"), now=now)
    said = littoral("repo", "status", "repo")
    assert "targets, snapshot, timestamp: (!) sign them anew in time" in said
    rows = {row["role"]: row for row in littoral.json("repo", "status", "repo")["roles"]}
    assert {role: row["urgency"] for role, row in rows.items()} == {
        "root": "fine",
        "targets": "soon",
        "snapshot": "over",
        "timestamp": "over",
    }


def test_a_repository_that_does_not_hold_exits_with_1(littoral: Terminal) -> None:
    init(littoral)
    path = Path("repo/metadata/1.targets.json")
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    assert "[signature]" in littoral("repo", "verify", "repo", code=1)
