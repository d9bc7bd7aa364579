"""A key ceremony as people at their machines see it: each has a folder, files go between."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click.testing
import pytest

from littoral.commands.repo import repo
from littoral.door import main
from littoral.trust.identity import digest
from littoral.trust.repository import Repository
from littoral.trust.rules import anchors


class Room:
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
def room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Room:
    monkeypatch.chdir(tmp_path)
    made = Room(capsys)
    for who in ("anna", "bert", "carl", "dora", "eve"):
        made("keys", "new", f"{who}/{who}.pem")
        made("keys", "public", f"{who}/{who}.pem", "--to", f"{who}.pub")
    return made


FOUND = [
    *("repo", "found", "repo", "--fleet", "shore", "--offline", "off", "--online", "on"),
    *("--root", "anna.pub", "--root", "bert.pub", "--root", "carl.pub", "--targets", "dora.pub"),
]


def founded(room: Room) -> None:
    room(*FOUND, "--to", "first")
    for who in ("anna", "carl", "dora"):
        room("repo", "sign", "first", "--key", f"{who}/{who}.pem", "--yes")
    room("repo", "collect", "repo", "first")
    room("repo", "renew", "repo", "--online", "on")


def test_three_people_found_a_repository_and_replace_one_of_them(room: Room) -> None:
    drafts = room.json(*FOUND, "--to", "first")["drafts"]
    assert [(one["role"], one["version"]) for one in drafts] == [("root", 1), ("targets", 1)]
    assert drafts[0]["quorums"][0]["missing"] == 2
    # Anna and Bert sign copies that were sent to both; Dora signs hers.
    for who in ("anna", "bert", "dora"):
        shutil.copytree("first", f"{who}/inbox")
        signed = room.json("repo", "sign", f"{who}/inbox", "--key", f"{who}/{who}.pem", "--yes")[
            "drafts"
        ]
        assert len(signed) == 1
    assert "2 more of" in room("repo", "collect", "repo", "first", code=1)
    inboxes = [f"{who}/inbox" for who in ("anna", "bert", "dora")]
    assert room.json("repo", "collect", "repo", *inboxes) == {
        "collected": [{"role": "root", "version": 1}, {"role": "targets", "version": 1}]
    }
    room(
        *("repo", "draft", "repo", "root", "--trust", "root=eve.pub", "--revoke", "root=carl"),
        *("--to", "second"),
    )
    assert "+     eve" in room("repo", "review", "second")
    for who in ("anna", "bert"):
        room("repo", "sign", "second", "--key", f"{who}/{who}.pem", "--yes")
    assert "root 2" in room("repo", "collect", "repo", "second")
    room("repo", "renew", "repo", "--online", "on")
    assert room.json("repo", "verify", "repo")["ok"]


def test_another_device_ca_is_anchored(room: Room) -> None:
    from littoral.trust import certificates

    founded(room)
    path = Path("new/device-ca.crt")
    made = certificates.new_ca(
        path.with_suffix(".pem"), path, name="shore", now=datetime.now(UTC), for_devices=True
    )
    room("repo", "draft", "repo", "root", "--device-ca", str(path), "--to", "ca")
    assert f"+ device_ca_sha256 {digest(made.root)}" in room("repo", "review", "ca")
    for who in ("anna", "bert"):
        room("repo", "sign", "ca", "--key", f"{who}/{who}.pem", "--yes")
    room("repo", "collect", "repo", "ca")
    assert anchors(Repository(Path("repo")).root()).device_ca_sha256 == digest(made.root)


def test_a_person_reads_before_signing_and_may_say_no(room: Room) -> None:
    room(*FOUND, "--to", "first")
    path = Path("first/root-1.draft.json")
    before = path.read_bytes()
    arguments = ["sign", str(path), "--key", "anna/anna.pem"]
    runner = click.testing.CliRunner()
    said = runner.invoke(repo, arguments, input="n\n")
    assert "root: 2 of 3" in said.output
    assert "Sign root-1.draft.json with anna/anna.pem?" in said.output
    assert path.read_bytes() == before
    assert runner.invoke(repo, arguments, input="y\n").exit_code == 0
    assert path.read_bytes() != before


def test_a_model_is_delegated_released_and_its_floor_raised_by_two_people(room: Room) -> None:
    from simulators.repository import tiny_bundle

    founded(room)
    room(
        *("repo", "draft", "repo", "targets", "--trust", "digits=anna.pub"),
        *("--trust", "digits=eve.pub", "--threshold", "digits=2", "--to", "a"),
    )
    for who in ("dora", "anna", "eve"):
        room("repo", "sign", "a", "--key", f"{who}/{who}.pem", "--yes")
    room("repo", "collect", "repo", "a")
    Path("bundle").mkdir()
    tiny_bundle(Path("bundle"), model="digits", release=4)
    room(
        *("repo", "draft", "repo", "digits", "--bundle", "bundle", "--floor", "4"),
        *("--days", "90", "--to", "b"),
    )
    room("repo", "sign", "b", "--key", "eve/eve.pem", "--yes")
    assert "1 more of: anna" in room("repo", "collect", "repo", "b", code=1)
    room("repo", "sign", "b", "--key", "anna/anna.pem", "--yes")
    room("repo", "collect", "repo", "b")
    room("repo", "renew", "repo", "--online", "on")
    rows = {row["role"]: row for row in room.json("repo", "verify", "repo")["roles"]}
    assert (rows["digits"]["releases"], rows["digits"]["threshold"]) == ([4], 2)
    assert 88 < rows["digits"]["days_left"] <= 90


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("draft repo root --trust eve.pub --to x", "expected ROLE="),
        ("draft repo root --threshold root=two --to x", "invalid literal"),
        ("draft repo root --floor 3 --to x", "for a model's metadata"),
        ("draft repo root --trust root=none.pub --to x", "no such key"),
        ("draft repo digits --trust digits=eve.pub --to x", "in a draft of targets"),
        ("draft repo digits --to x", "no model 'digits'"),
        ("draft off root --to x", "no repository"),
        ("draft repo root --device-ca anna.pub --to x", "expected an authority's certificate"),
        ("draft repo targets --device-ca off/device-ca.crt --to x", "draft root"),
        ("sign first --key eve/eve.pem --yes", "none of the drafts asks"),
        ("sign first --key anna/anna.pem --json", "add --yes"),
        ("review off", "found none"),
        ("collect repo off", "found none"),
        (
            "found repo --fleet x --root eve.pub --targets eve.pub --offline o --online o --to x",
            "a repository is there",
        ),
    ],
)
def test_what_is_wrong_is_one_line(room: Room, args: str, said: str) -> None:
    founded(room)
    assert said in room("repo", *args.split(), code=2)
    assert not Path("x").exists()
