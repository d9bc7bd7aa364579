"""Crash states of who a device is: enrolled, enrolled anew, given a newer key.

What wakes is what an agent does first, and then the same command again: in the end the device
is whom the console takes it for, with a key that fits, and nothing of another is left.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from faults import crash_child, crash_record
from faults.crash_disk import State
from faults.crash_states import Recording, key
from faults.crash_trace import Step
from faults.crash_waker import fill
from faults.ground import TESTS, Ground
from faults.tally import Tally
from littoral.errors import LittoralError
from littoral.tree import Tree
from littoral_agent import identity
from littoral_agent.enroll import enroll
from littoral_agent.identity import Identity
from littoral_agent.renewal import Files, Pair
from littoral_agent.renewal import State as Renewal

STORIES: Final = ("enrolled", "enrolled anew", "renewed")


@dataclass(slots=True)
class _Console:
    """What the console knows by the moment of a power cut."""

    asked: bool = False  # the token is used, by the key that asked
    heard: bool = False  # the earlier certificate is ended


class Identities:
    """Judges the states of one story."""

    def __init__(self, ground: Ground, story: str, token: str, tally: Tally) -> None:
        self._ground, self._story, self._token, self._tally = ground, story, token, tally
        self._console = _Console()
        self._expected = 2 if story == "enrolled anew" else 1
        self._tree = Tree(ground.folder / "identified")
        self._tree.root.mkdir(exist_ok=True)
        self._before: frozenset[bytes] = frozenset()  # certificates
        self._ends: dict[tuple[bytes, bool, bool], list[str]] = {}
        fleet = ground.fleet.console
        self._secret = next(reversed(fleet.tokens), "")
        self._answer = fleet.admitted.get(self._secret)

    def hear(self, step: Step, now: State) -> None:
        if not self._before:
            held = now.get("identity/device.crt")
            self._before = frozenset({held.data if held else b""})
        self._console.asked |= step.kind == "asked"
        self._console.heard |= step.kind == "heard"

    def judge(self, state: State) -> Iterator[str]:
        seen = (key(state), self._console.asked, self._console.heard)
        if seen not in self._ends:
            self._tally.count["woken"] += 1
            fill(self._tree, state)
            self._ends[seen] = [*self._wake()]
        yield from self._ends[seen]

    def _wake(self) -> Iterator[str]:
        tree, who = self._tree, identity.of(self._tree)
        try:
            tree.make()
            who.settle()
            held = who.read()
            if held is not None and self._story != "renewed":
                yield from _misfits(Pair(who.certificate, who.key), held.incarnation)
            yield from self._again(who)
            held = who.read()
        except LittoralError as e:
            yield f"stuck: {e}"
            return
        if held is None or held.incarnation != self._expected:
            yield f"end: found {held}; expected incarnation {self._expected}"
            return
        yield from _misfits(Pair(who.certificate, who.key), self._expected)
        yield from _left(who)

    def _again(self, who: Identity) -> Iterator[str]:
        """Do what was begun once more."""
        held = who.read()
        if self._story != "renewed":
            if held is not None and held.incarnation == self._expected:
                return
            self._reset()
            enroll(self._ground.fleet.console.url, self._token, self._tree, name="pi-7")
            return
        if held is None:
            yield "end: it is nobody"
            return
        renewer = crash_child.alone(self._tree, held)
        pair = renewer.pair()
        yield from _misfits(pair, held.incarnation)
        if self._console.heard and pair.certificate.read_bytes() in self._before:
            yield "forgotten: it speaks by a certificate that the console has ended"
        while who.certificate.read_bytes() in self._before:
            crash_child.renew(self._tree, self._ground.fleet.repo.base)
        if Files(who, held.incarnation).state is not Renewal.STEADY:
            yield "end: the newer pair is not placed"

    def _reset(self) -> None:
        """Let the console know what it knew."""
        console, anew = self._ground.fleet.console, self._story == "enrolled anew"
        asked = self._console.asked and self._answer is not None
        console.tokens[self._secret] = None if asked else "pi-7"
        console.incarnations["pi-7"] = int(asked) + int(anew)
        if asked and self._answer is not None:
            console.admitted[self._secret] = self._answer


def record(ground: Ground, story: str) -> tuple[Recording, str]:
    """Let a device become somebody, and keep what it did; return that, and its token."""
    folder, fleet = ground.folder / story, ground.fleet
    start, root, trace = folder / "start", folder / "device", folder / "trace"
    start.mkdir(parents=True)
    token = ""
    if story != "enrolled":
        fleet.console.incarnations.clear()
        Tree(start).make()
        enroll(fleet.console.url, fleet.console.token("pi-7"), Tree(start), name="pi-7")
    if story == "renewed":
        record_child(start, root, trace, ["renew", str(root), str(fleet.repo.base)])
    else:
        fleet.console.incarnations["pi-7"] = int(story == "enrolled anew")
        token = fleet.console.token("pi-7")
        record_child(start, root, trace, ["enrol", str(root), fleet.console.url, token])
    return Recording(story, str(root), start, (trace,)), token


def record_enrolment(ground: Ground, start: Path, root: Path, trace: Path) -> Path:
    """Enrol the device in ``root``, which begins as ``start``; return the trace of that."""
    console = ground.fleet.console
    console.incarnations.clear()
    record_child(start, root, trace, ["enrol", str(root), console.url, console.token("pi-7")])
    return trace


def record_child(start: Path, root: Path, trace: Path, words: list[str]) -> None:
    """Let faults.crash_child do what ``words`` say in ``root``, which begins as ``start``."""
    subprocess.run(["cp", "-a", str(start), str(root)], check=True)
    with _child(words) as process:
        assert process.stdin is not None
        with crash_record.recorded(process.pid, trace):
            process.stdin.write(b"g")
            process.stdin.flush()
            code = process.wait(60)
    if code != 0:
        raise RuntimeError(f"{words}, undisturbed: code {code}")


@contextmanager
def _child(words: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the process, and wait until it waits."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "faults.crash_child", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def _misfits(pair: Pair, incarnation: int) -> Iterator[str]:
    """Say what of a pair does not fit the other, or is not there whole."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        secret = load_pem_private_key(pair.key.read_bytes(), None)
    except (OSError, ValueError) as e:
        yield f"partial: {e}"
        return
    if certificate.public_key() != secret.public_key():
        yield f"partial: {pair.certificate} is of another key than {pair.key}"
    names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    found = [one.value for one in names]
    if found != [str(incarnation)]:
        yield f"partial: {pair.certificate} is of {found}; expected {incarnation}"


def _left(who: Identity) -> Iterator[str]:
    """Name what is nobody's, keys above all."""
    for path in who.folder.rglob("*"):
        if path.is_file() and path not in who.files and path.suffix != ".lock":
            yield f"left: {path.relative_to(who.folder)}"
