"""What a kept document says, read without judging it."""

import json
from typing import Any

import pytest

from littoral.records import RecordError
from littoral.trust.beliefs import Assignment
from littoral.wire.journal import Choice, Journal, Quarantine, State
from littoral_agent.outline import Outline, is_named, is_newer, outline, settled

A, B = "a" * 64, "b" * 64


def document(version: Any = 7, **named: Any) -> bytes:
    targets = {name: {"hashes": {"sha256": sha256}} for name, sha256 in named.items()}
    return json.dumps({"signed": {"version": version, "targets": targets}}).encode()


def choice(manifest: str, *, release: int = 1) -> Choice:
    return Choice(release=release, manifest=manifest, variant="cpu", hardware="cpu-x86_64")


def test_it_says_a_version_and_what_is_named() -> None:
    assert outline(document(digits=A, faces=B)) == Outline(version=7, manifests=frozenset({A, B}))
    assert outline(document()) == Outline(version=7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        document("seven"),
        document(digits="../../etc/passwd"),
        document(digits=None),
        b'{"signed": {"version": 1, "targets": []}}',
        b" " * (64 * 1024 + 1),
    ],
)
def test_what_is_no_document_is_an_error_and_not_empty(data: bytes) -> None:
    with pytest.raises(RecordError):
        outline(data)


def test_what_cannot_be_read_is_never_the_newer_one() -> None:
    assert is_newer(document(8), document(7))
    assert not is_newer(document(7), document(7))
    assert not is_newer(b"nonsense", document(7))
    assert is_newer(document(7), b"nonsense")


def test_what_is_named_is_bytes_release_and_hardware_and_no_attempt() -> None:
    one = Assignment(
        model="digits",
        release=1,
        length=10,
        manifest_sha256=A,
        hardware="cpu-x86_64",
        attempt=3,
    )
    assert is_named(choice(A), one)
    assert not is_named(choice(B), one)
    assert not is_named(choice(A, release=2), one)
    assert not is_named(None, one)


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        (Journal(model="digits"), False),
        (Journal(model="digits", good=choice(A)), True),
        (Journal(model="digits", state=State.TESTING, candidate=choice(A)), True),
        (Journal(model="digits", good=choice(B)), False),  # to be gone back from
        (Journal(model="digits", good=choice(A), state=State.TESTING, candidate=choice(B)), False),
        (Journal(model="digits", quarantine={A: Quarantine(code="crash", attempt=0)}), True),
    ],
)
def test_settled_is_what_is_good_or_under_way_or_was_tried(
    journal: Journal, *, expected: bool
) -> None:
    assert settled([journal], frozenset({A})) is expected
