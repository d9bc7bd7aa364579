"""Boards that wait for an operator: by the rules alone, and over the real listeners."""

import contextlib
import itertools
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ClauseElement
from sqlalchemy.dialects import postgresql

from littoral.errors import DeniedError, MisuseError, NotFoundError
from littoral.trust.certificates import requested
from littoral.trust.identity import fingerprint, key_digest
from littoral.trust.keys import DEVICE_KEY, new_device_key
from littoral.wire.enrolment import Token
from littoral_console.claims import OPEN, TABLE, Event, State, step
from littoral_console.client import Console
from littoral_console.tokens import revoke_token
from simulators.console import ConsoleProcess, DeviceSimulator, EnrolmentRefusedError

WAITS = "202"


class Asked:
    """A connection that keeps what it is asked, as PostgreSQL would read it."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def execute(self, statement: ClauseElement) -> "Asked":
        self.words.append(str(statement.compile(dialect=postgresql.dialect())))  # type: ignore[no-untyped-call]
        return self

    scalar = execute

    def one_or_none(self) -> None:
        return None


def test_two_consoles_take_a_token_before_its_claim_and_hold_both() -> None:
    """Else one refuses what the other admits, or each waits for the other for ever."""
    asked: Any = Asked()
    with contextlib.suppress(AttributeError, TypeError):
        revoke_token(asked, 1, who="admin", now_ms=1)
    tables = [
        next(w for w in words.split() if w in {"claims", "enrolment_tokens"})
        for words in (text.partition("FROM ")[2] for text in asked.words[:2])
    ]
    assert tables == ["enrolment_tokens", "claims"]
    assert all(text.endswith("FOR UPDATE") for text in asked.words[:2])


@pytest.fixture
def claim(console: ConsoleProcess) -> Callable[..., int]:
    """Let a board ask by a token that needs approval; return its claim's number."""

    def ask(name: str, token: str, **more: Any) -> int:
        with pytest.raises(EnrolmentRefusedError, match=WAITS) as waits:
            DeviceSimulator(console, name, token=token, **more)
        return int(waits.value.said["claim"])

    return ask


def of(console: ConsoleProcess, number: int) -> dict[str, object]:
    every = console.rest.get("claims", state="all")
    found: dict[str, object] = next(c for c in every if c["id"] == number)
    return found


def test_nothing_ends_what_has_ended() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) in TABLE:
            continue
        with pytest.raises(MisuseError, match=f"is {state.value} cannot be"):
            step(state, event)
    ends = {state for state in State if state not in OPEN}
    assert {after for (before, _), after in TABLE.items() if before in ends} <= ends


def test_nobody_is_admitted_who_was_not_approved() -> None:
    assert [before for (before, _), after in TABLE.items() if after is State.ENROLLED] == [
        State.APPROVED
    ]


def test_a_board_waits_and_becomes_a_device_once_it_is_approved(
    console: ConsoleProcess, claim: Callable[..., int]
) -> None:
    token = console.token(approve=True, labels={"site": "pier"})
    number = claim("waits-1", token)
    assert claim("waits-1", token) == number, "to ask again is the same claim"
    assert console.rest.get("devices", to="waits-1") == []
    found = of(console, number)
    assert (found["state"], found["device"], found["address"]) == (
        "waiting",
        "waits-1",
        "127.0.0.1",
    )
    key = key_digest(requested(new_device_key(console.base / "devices/waits-1", "waits-1")))
    assert found["fingerprint"] == fingerprint(key), "as the board itself reckons it"
    console.rest.post(f"claims/{number}/approve")
    console.rest.post(f"claims/{number}/approve")  # twice does no harm
    device = DeviceSimulator(console, "waits-1", token=token)
    assert device.enrolled.incarnation == 1
    assert of(console, number)["state"] == "enrolled"
    assert console.device("waits-1")["device"]["labels"] == {"site": "pier"}
    again = DeviceSimulator(console, "waits-1", token=token)
    assert again.enrolled == device.enrolled, "a lost answer is given again"
    with pytest.raises(MisuseError, match="is enrolled cannot be refused"):
        console.rest.post(f"claims/{number}/refuse")
    told = [e for e in console.rest.get("audit")["entries"] if e["subject"] == "waits-1"]
    assert [e["action"] for e in reversed(told)] == ["claim.new", "claim.approve", "device.enroll"]


def test_who_is_refused_stays_refused(console: ConsoleProcess, claim: Callable[..., int]) -> None:
    token = console.token(approve=True)
    number = claim("turned-away", token)
    console.rest.post(f"claims/{number}/refuse")
    for name in ("turned-away", "other"):
        with pytest.raises(EnrolmentRefusedError, match="403 denied"):
            DeviceSimulator(console, name, token=token)
    with pytest.raises(MisuseError, match="is refused cannot be approved"):
        console.rest.post(f"claims/{number}/approve")
    with pytest.raises(NotFoundError, match="no claim 9999"):
        console.rest.post("claims/9999/approve")


def test_an_approval_can_be_taken_back_until_it_was_used(
    console: ConsoleProcess, claim: Callable[..., int]
) -> None:
    token = console.token(approve=True)
    number = claim("second-thought", token)
    console.rest.post(f"claims/{number}/approve")
    console.rest.post(f"claims/{number}/refuse")
    with pytest.raises(EnrolmentRefusedError, match="an operator refused"):
        DeviceSimulator(console, "second-thought", token=token)


def test_another_key_takes_no_claim_further(
    console: ConsoleProcess, claim: Callable[..., int]
) -> None:
    """A token that leaked is worth nothing to who comes second, before the approval or after."""
    token = console.token(approve=True)
    number = claim("first-come", token)
    key = console.base / "devices" / "first-come" / DEVICE_KEY
    own = key.read_bytes()
    for _ in ("waiting", "approved"):
        key.unlink()
        with pytest.raises(EnrolmentRefusedError, match="claimed by another key"):
            DeviceSimulator(console, "first-come", token=token)
        console.rest.post(f"claims/{number}/approve")
    key.write_bytes(own)
    (console.base / "devices" / "first-come-2").mkdir()
    (console.base / "devices" / "first-come-2" / DEVICE_KEY).write_bytes(own)
    for name, serial in (("first-come", "another board"), ("first-come-2", "serial of first-come")):
        with pytest.raises(EnrolmentRefusedError, match="go on with both"):
            DeviceSimulator(console, name, token=token, serial=serial)
    assert DeviceSimulator(console, "first-come", token=token).enrolled.incarnation == 1


def test_a_claim_outlives_its_token_and_not_its_revocation(
    console: ConsoleProcess, claim: Callable[..., int]
) -> None:
    words = [console.token(approve=True, lives_s=2) for _ in range(2)]
    kept, dropped = (claim(f"slow-{i}", word) for i, word in enumerate(words))
    tokens = {t["claim"]: t["id"] for t in console.rest.get("enrolment-tokens")}
    found = console.rest.post(f"enrolment-tokens/{tokens[dropped]}/revoke")
    assert (found["claim"], found["claim_state"]) == (dropped, "refused")
    time.sleep(2.1)
    console.rest.post(f"claims/{kept}/approve")
    assert DeviceSimulator(console, "slow-0", token=words[0]).enrolled.device == "slow-0"
    with pytest.raises(EnrolmentRefusedError, match="refused this device"):
        DeviceSimulator(console, "slow-1", token=words[1])


def test_a_name_that_is_held_is_refused_before_anybody_waits(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "held")
    with pytest.raises(EnrolmentRefusedError, match="held by another board"):
        DeviceSimulator(console, "held", serial="new", token=console.token(approve=True))


def test_claims_survive_the_death_of_the_console(fresh: ConsoleProcess) -> None:
    token = fresh.token(approve=True)
    with pytest.raises(EnrolmentRefusedError, match=WAITS):
        DeviceSimulator(fresh, "patient", token=token)
    fresh.kill()
    fresh.start()
    with pytest.raises(EnrolmentRefusedError, match=WAITS):
        DeviceSimulator(fresh, "patient", token=token)
    fresh.rest.post("claims/1/approve")
    fresh.kill()
    fresh.start()
    first = DeviceSimulator(fresh, "patient", token=token)
    fresh.kill()
    fresh.start()
    assert DeviceSimulator(fresh, "patient", token=token).enrolled == first.enrolled


def test_secrets_are_kept_as_digests(fresh: ConsoleProcess) -> None:
    secrets = [Token.decode(fresh.token(approve=approve)).secret for approve in (False, True)]
    fresh.stop()
    with sqlite3.connect(fresh.data / "littoral.db") as database:
        said = "\n".join(database.iterdump())
    database.close()
    held = [path.read_bytes() for path in fresh.data.rglob("*") if path.is_file()]
    for secret in secrets:
        assert secret not in said
        assert not any(secret.encode() in data for data in held)
    fresh.start()


def test_the_list_says_of_each_token_what_it_is_for(console: ConsoleProcess) -> None:
    made = console.rest.post(
        "enrolment-tokens", {"device": "bound", "serial": "b-1", "approve": True}
    )
    assert made["url"] == console.ready["devices"]
    found = next(t for t in console.rest.get("enrolment-tokens") if t["id"] == made["id"])
    said = (found["device"], found["serial"], found["approve"], found["claim"], found["used_by"])
    assert said == ("bound", "b-1", True, None, None)
    console.rest.post(f"enrolment-tokens/{made['id']}/revoke")
    console.rest.post(f"enrolment-tokens/{made['id']}/revoke")
    with pytest.raises(EnrolmentRefusedError, match="time is over"):
        DeviceSimulator(console, "bound", serial="b-1", token=made["token"])
    with pytest.raises(NotFoundError, match="no enrolment token 9999"):
        console.rest.post("enrolment-tokens/9999/revoke")


def test_a_viewer_decides_nothing(console: ConsoleProcess) -> None:
    console.rest.post("users", {"username": "v", "password": "correct horse", "role": "viewer"})
    said = {"username": "v", "password": "correct horse", "purpose": "test"}
    viewer = Console(
        console.ready["http"], token=Console(console.ready["http"]).post("login", said)["token"]
    )
    assert isinstance(viewer.get("claims"), list)
    for path in ("claims/1/approve", "claims/1/refuse", "enrolment-tokens/1/revoke"):
        with pytest.raises(DeniedError, match="may look"):
            viewer.post(path)


def test_the_documented_table_is_the_codes() -> None:
    page = (Path(__file__).parents[2] / "docs/identity.md").read_text()
    for (before, event), after in TABLE.items():
        assert f"| `{before.value}` | {event.value} | `{after.value}` |" in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len([r for r in rows if r.split(" | ")[1] in {e.value for e in Event}]) == len(TABLE)
