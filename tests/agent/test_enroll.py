"""Enrolment against a real listener: what is believed, what is not, and what may be repeated."""

import base64
import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from littoral.errors import (
    DeniedError,
    LittoralError,
    MalformedError,
    MisuseError,
    TrustError,
    UnreachableError,
    WaitingError,
)
from littoral.tree import Tree
from littoral.trust.certificates import new_ca, new_intermediate, requested
from littoral.trust.identity import fingerprint, key_digest, load_pem
from littoral.trust.keys import load_private
from littoral.wire.enrolment import Waiting
from littoral_agent.enroll import enroll
from littoral_agent.identity import Identity
from simulators.broker import NOW, free_port
from simulators.listener import ListenerSimulator
from simulators.repository import RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as repo:
        yield repo


@pytest.fixture
def console(tmp_path: Path, repo: RepositorySimulator) -> Iterator[ListenerSimulator]:
    with ListenerSimulator(tmp_path / "console", repo) as console:
        yield console


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "device")


class PowerCutError(BaseException):
    pass


class CutAfter:
    """The power goes before the n-th change of the disk that this project makes."""

    def __init__(self, changes: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left, self._patch, self.happened = changes, monkeypatch, False

    def __enter__(self) -> Self:
        self._context = self._patch.context()
        patch = self._context.__enter__()
        for where, name in (
            (os, "fsync"),
            (Path, "replace"),
            (Path, "rename"),
            (os, "unlink"),
            (os, "rmdir"),
        ):
            patch.setattr(where, name, self._counted(getattr(where, name)))
        return self

    def __exit__(self, *failure: object) -> None:
        self._context.__exit__(None, None, None)

    def _counted(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            if self._left <= 0:
                self.happened = True
                raise PowerCutError
            self._left -= 1
            return change(*args, **more)

        return counted


def nothing_is_written(tree: Tree) -> bool:
    return not Identity(tree.identity).enrolment.exists()


def test_a_board_becomes_a_device(tree: Tree, console: ListenerSimulator) -> None:
    console.broker = "127.0.0.1:8883"
    found = enroll(console.url, console.token("pi-7"), tree, name="pi-7")
    assert (found.device, found.fleet, found.incarnation) == ("pi-7", "shore", 1)
    assert (found.url, found.broker, found.trust) == (console.url, "127.0.0.1:8883", "token")
    who = Identity(tree.identity)
    assert who.read() == found
    assert who.key.stat().st_mode & 0o777 == 0o600
    assert tree.identity.stat().st_mode & 0o777 == 0o700
    assert len(load_pem(who.certificate.read_text(), "chain")) == 2
    assert who.console_ca.read_text().strip() == console.tls.ca.read_text().strip()
    assert (tree.metadata / "root.json").read_bytes() == console.repo.root


def test_the_hosts_name_is_a_suggestion(
    tree: Tree, console: ListenerSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Küche_2.Local")
    assert enroll(console.url, console.token("pier-7"), tree).device == "pier-7"
    assert [(one.device, one.named) for one in console.requests] == [("k-che-2-local", False)]


def test_it_waits_for_an_operator_by_one_key_and_says_what_to_compare(
    tree: Tree, console: ListenerSimulator
) -> None:
    seen: list[tuple[int, str]] = []

    def told(waiting: Waiting, found: str) -> None:
        seen.append((waiting.claim, found))
        if len(seen) == 3:
            console.stop()  # an operator may take longer than the console lives
        if len(seen) == 5:
            console.start()
            console.approve()

    enroll(console.url, console.token("pi-7", approve=True), tree, name="pi-7", told=told)
    keys = {key_digest(requested(one.csr)) for one in console.requests}
    assert len(seen) >= 5
    assert seen[0] == (3, fingerprint(keys.pop()))
    assert len(set(seen)) == 1
    assert not keys


def test_who_stops_waiting_goes_on_later_as_the_same(
    tree: Tree, console: ListenerSimulator
) -> None:
    token = console.token("pi-7", approve=True)
    for _ in range(2):
        with pytest.raises(WaitingError, match="'pi-7' waits for an operator: claim 3, key"):
            enroll(console.url, token, tree, name="pi-7", wait_s=0)
        assert nothing_is_written(tree)
    console.approve()
    enroll(console.url, token, tree, name="pi-7", wait_s=0)
    assert len({key_digest(requested(one.csr)) for one in console.requests}) == 1


def test_a_card_that_is_copied_while_it_waits_makes_a_key_of_its_own(
    tree: Tree, console: ListenerSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = console.token("pi-7", approve=True)
    for board in ("b-1", "b-2"):
        monkeypatch.setattr("littoral_agent.hardware.serial", lambda board=board: board)
        with pytest.raises(WaitingError):
            enroll(console.url, token, tree, name="pi-7", wait_s=0)
    assert len({key_digest(requested(one.csr)) for one in console.requests}) == 2
    console.approve()
    assert enroll(console.url, token, tree, name="pi-7").serial == "b-2"


def test_a_power_cut_at_any_write_leaves_one_whole_identity(
    tree: Tree, console: ListenerSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut at the n-th durable change, for every n: key, certificate and enrolment agree."""
    enroll(console.url, console.token("pi-7"), tree, name="pi-7")
    who = Identity(tree.identity)
    held, cuts = tree.root.with_name("held"), 0
    shutil.copytree(tree.root, held)
    while True:
        shutil.rmtree(tree.root)
        shutil.copytree(held, tree.root)
        console.incarnations["pi-7"] = 1
        with CutAfter(cuts, monkeypatch) as cut, contextlib.suppress(PowerCutError):
            enroll(console.url, console.token("pi-7"), tree, name="pi-7")
        woken = Identity(tree.identity)
        woken.settle()
        found = woken.read()
        assert found is not None
        leaf = load_pem(who.certificate.read_text(), "chain")[0]
        assert leaf.public_key() == load_private(who.key).public_key(), cuts
        assert f"OU={found.incarnation}" in leaf.subject.rfc4514_string()
        if not cut.happened:
            break
        cuts += 1
    assert cuts > 10
    assert not who.enrolled.folder.exists()


def test_enrolling_again_makes_a_new_key_keeps_the_root_and_counts_up(
    tree: Tree, console: ListenerSimulator
) -> None:
    enroll(console.url, console.token("pi-7"), tree, name="pi-7")
    key, root = Identity(tree.identity).key.read_bytes(), tree.metadata / "root.json"
    root_before = root.read_bytes()
    found = enroll(console.url, console.token("pi-7"), tree, name="pi-7")
    assert found.incarnation == 2
    assert Identity(tree.identity).key.read_bytes() != key, "the earlier one may be known"
    assert root.read_bytes() == root_before


def test_nobody_there(tree: Tree, console: ListenerSimulator) -> None:
    token = console.token("pi-7")
    with pytest.raises(UnreachableError, match=r"https://127\.0\.0\.1:\d+ does not answer"):
        enroll(f"https://127.0.0.1:{free_port()}", token, tree, name="pi-7")
    assert nothing_is_written(tree)


def test_a_used_token_and_an_unknown_one(
    tmp_path: Path, tree: Tree, console: ListenerSimulator
) -> None:
    token = console.token("pi-7")
    enroll(console.url, token, tree, name="pi-7")
    before = Identity(tree.identity).enrolment.read_bytes()
    with pytest.raises(DeniedError, match="does not admit this device: the token was used"):
        enroll(console.url, token, Tree(tmp_path / "other"), name="pi-7")
    assert enroll(console.url, token, tree, name="pi-7").incarnation == 1, "it is who used it"
    with pytest.raises(DeniedError, match="no such token"):
        enroll(console.url, console.token_of("guessed"), tree, name="pi-7")
    assert Identity(tree.identity).enrolment.read_bytes() == before


def test_another_console_than_the_tokens_gets_no_secret(
    tmp_path: Path, tree: Tree, console: ListenerSimulator
) -> None:
    with ListenerSimulator(tmp_path / "other", console.repo) as other:
        with pytest.raises(TrustError, match="not the console that made this token"):
            enroll(other.url, console.token("pi-7"), tree, name="pi-7")
        assert other.asked == ["/enroll/ca"]
    assert nothing_is_written(tree)


def test_who_copies_the_ca_still_has_no_certificate_of_it(
    tmp_path: Path, tree: Tree, console: ListenerSimulator
) -> None:
    other = ListenerSimulator(tmp_path / "other", console.repo)
    shutil.copy(console.tls.ca, other.tls.ca)
    with other:
        with pytest.raises(UnreachableError, match="no secure connection"):
            enroll(other.url, console.token("pi-7"), tree, name="pi-7")
        assert "/enroll" not in other.asked


def test_another_root_than_the_tokens_is_not_held(tree: Tree, console: ListenerSimulator) -> None:
    token = console.token("pi-7")
    console.repo.override["metadata/root.json"] = console.repo.root + b"\n"
    with pytest.raises(TrustError, match="sha256"):
        enroll(console.url, token, tree, name="pi-7")
    assert not (tree.metadata / "root.json").exists()
    assert "/enroll" not in console.asked


def test_a_device_of_one_fleet_does_not_join_another(
    tmp_path: Path, tree: Tree, console: ListenerSimulator
) -> None:
    enroll(console.url, console.token("pi-7"), tree, name="pi-7")
    with (
        RepositorySimulator(tmp_path / "far", fleet="far") as far,
        ListenerSimulator(tmp_path / "far-console", far) as other,
        pytest.raises(TrustError, match="a held root is never replaced"),
    ):
        enroll(other.url, other.token("pi-7"), tree, name="pi-7")


def test_a_fleet_made_anew_under_the_old_name_costs_no_token(
    tmp_path: Path, tree: Tree, console: ListenerSimulator
) -> None:
    """Its certificate would be refused; the token would be used, and the board be listed."""
    enroll(console.url, console.token("pi-7"), tree, name="pi-7")
    with (
        RepositorySimulator(tmp_path / "anew", fleet=console.repo.fleet) as anew,
        ListenerSimulator(tmp_path / "anew-console", anew) as other,
        pytest.raises(TrustError, match="this console is not the fleet's"),
    ):
        enroll(other.url, other.token("pi-7"), tree, name="pi-7")
    assert "/enroll" not in other.asked


def test_a_certificate_of_another_authority_is_refused(
    tmp_path: Path, tree: Tree, console: ListenerSimulator
) -> None:
    keys = tmp_path / "forged"
    keys.mkdir()
    root = new_ca(keys / "ca.pem", keys / "ca.crt", name="forged", now=NOW)
    new_intermediate(keys / "i.pem", keys / "i.crt", ca=root, name="forged, online", now=NOW)
    token = console.token("pi-7")
    for name in ("pem", "crt"):
        shutil.copy(keys / f"i.{name}", console.repo.online / f"device-ca.{name}")
    with pytest.raises(TrustError, match="chain"):
        enroll(console.url, token, tree, name="pi-7")
    shutil.copy(keys / "ca.crt", console.repo.offline / "device-ca.crt")
    with pytest.raises(TrustError, match="this console is not the fleet's"):
        enroll(console.url, console.token("pi-7"), tree, name="pi-7")
    assert nothing_is_written(tree)


@pytest.mark.parametrize(
    ("url", "name", "error", "words"),
    [
        ("http://127.0.0.1:1", "pi-7", MisuseError, "expected the console's https"),
        ("127.0.0.1:8443", "pi-7", MisuseError, "expected the console's https"),
        (None, "Pi 7", MisuseError, "--name"),
    ],
)
def test_what_cannot_be_is_said(
    *,
    tree: Tree,
    console: ListenerSimulator,
    url: str | None,
    name: str,
    error: type[LittoralError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        enroll(url or console.url, console.token("pi-7"), tree, name=name)


def test_a_mistyped_token_is_said_before_anybody_is_asked(
    tree: Tree, console: ListenerSimulator
) -> None:
    whole = console.token("pi-7")
    for token, words in (
        ("lit1_abc", "paste it whole"),
        (whole[:-9], "paste it whole"),
        (whole.removeprefix("lit1_"), "expected a token, lit1_"),
        ("abc", "expected a token, lit1_"),
        ("", "expected a token, lit1_"),
    ):
        with pytest.raises(MalformedError, match=words):
            enroll(console.url, token, tree)
    assert console.asked == []


def test_the_secret_is_nowhere_on_the_disk(tree: Tree, console: ListenerSimulator) -> None:
    token = console.token("pi-7")
    body = token.removeprefix("lit1_")
    secret = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["secret"]
    enroll(console.url, token, tree, name="pi-7")
    for path in tree.root.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
