"""Who may use the console: passwords, access and API tokens, over REST and from a shell."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from console.shell import Shell
from littoral import records
from littoral.errors import DeniedError, MisuseError, NotFoundError
from littoral_console.client import ENVIRONMENT, Console
from simulators.console import PASSWORD, ConsoleProcess, Done

SECRET = "long enough"


def join(console: ConsoleProcess, name: str, *, role: str = "viewer") -> Console:
    """Make a user; return the console as that user's program sees it."""
    console.rest.post("users", {"username": name, "password": SECRET, "role": role})
    return enter(console, name)


def enter(console: ConsoleProcess, name: str, password: str = SECRET) -> Console:
    nobody = Console(console.ready["http"])
    token = nobody.post("login", {"username": name, "password": password})["token"]
    return Console(console.ready["http"], token=token)


def named(console: ConsoleProcess, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(u for u in console.rest.get("users") if u["name"] == name)
    return found


def done(console: ConsoleProcess, action: str, subject: str) -> dict[str, Any]:
    """Return the newest entry of the audit log that says so."""
    entries = console.rest.get("audit")["entries"]
    found: dict[str, Any] = next(
        e for e in entries if (e["action"], e["subject"]) == (action, subject)
    )
    return found


def test_who_is_disabled_does_nothing_any_more_and_may_come_back(console: ConsoleProcess) -> None:
    gone = join(console, "gone", role="administrator")
    assert named(console, "gone")["disabled_ms"] is None
    console.rest.post("users/gone/disable")
    assert named(console, "gone")["disabled_ms"] > 0
    assert done(console, "user.disable", "gone")["who"] == "admin"
    with pytest.raises(DeniedError, match="log in"):
        gone.get("fleet")
    with pytest.raises(DeniedError, match="another password"):
        enter(console, "gone")
    with pytest.raises(MisuseError, match="already"):
        join(console, "gone")
    console.rest.post("users/gone/enable")
    assert gone.get("me") == {"username": "gone", "role": "administrator"}


def test_there_is_always_somebody_who_can_let_others_in(console: ConsoleProcess) -> None:
    with pytest.raises(MisuseError, match="nobody disables himself"):
        console.rest.post("users/admin/disable")
    assert named(console, "admin")["disabled_ms"] is None


def test_two_administrators_do_not_disable_each_other_at_once(console: ConsoleProcess) -> None:
    both = [join(console, name, role="administrator") for name in ("tide", "tide2")]
    gate = threading.Barrier(2)

    def disable(one: Console, other: str) -> None:
        gate.wait()
        with contextlib.suppress(DeniedError):
            one.post(f"users/{other}/disable")

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(disable, both, ("tide2", "tide")))
        ended = [n for n in ("tide", "tide2") if named(console, n)["disabled_ms"] is not None]
        assert len(ended) == 1
        console.rest.post(f"users/{ended[0]}/enable")


def test_a_password_is_changed_by_who_knows_it(console: ConsoleProcess) -> None:
    mary = join(console, "mary")
    with pytest.raises(DeniedError, match="that you have now"):
        mary.post("me/password", {"current": "a guess", "password": "another one"})
    with pytest.raises(MisuseError, match="at least 8"):
        mary.post("me/password", {"current": SECRET, "password": "short"})
    mary.post("me/password", {"current": SECRET, "password": "another one"})
    with pytest.raises(DeniedError):
        enter(console, "mary", SECRET)
    enter(console, "mary", "another one")
    assert done(console, "user.password", "mary")["who"] == "mary"
    for _ in range(9):
        with pytest.raises(DeniedError):
            mary.post("me/password", {"current": "a guess", "password": "another one"})
    with pytest.raises(DeniedError, match="too many failures"):
        mary.post("me/password", {"current": "another one", "password": SECRET})


def test_an_administrator_gives_others_a_password_and_never_himself(
    console: ConsoleProcess,
) -> None:
    """A stolen session or API token is no way to keep the console for oneself."""
    join(console, "lost/found")
    console.rest.post("users/lost%2Ffound/password", {"password": "a new one"})
    enter(console, "lost/found", "a new one")
    with pytest.raises(MisuseError, match="your own"):
        console.rest.post("users/admin/password", {"password": "a new one"})
    with pytest.raises(NotFoundError):
        console.rest.post("users/nobody/password", {"password": "a new one"})


def test_a_new_password_ends_sessions_elsewhere(console: ConsoleProcess) -> None:
    import requests

    url = console.ready["http"]
    join(console, "twice")
    here, there = requests.Session(), requests.Session()
    body = {"username": "twice", "password": SECRET}
    csrf = [s.post(f"{url}/api/v1/session", json=body).json()["csrf"] for s in (here, there)]
    change = {"current": SECRET, "password": "another one"}
    sent = {"X-CSRF-Token": csrf[0]}
    with here, there:
        assert here.post(f"{url}/api/v1/me/password", json=change).status_code == 403
        asked = here.post(f"{url}/api/v1/me/password", json=change, headers=sent)
        assert asked.status_code == 204
        assert here.get(f"{url}/api/v1/me").status_code == 200
        assert there.get(f"{url}/api/v1/me").status_code == 401


def test_a_token_says_when_it_was_used_and_is_revoked_by_its_number(
    console: ConsoleProcess,
) -> None:
    tess = join(console, "tess")
    secret = tess.post("api-tokens", {"name": "nightly", "lives_s": 3600})["token"]
    nightly = Console(console.ready["http"], token=secret)
    listed = {t["name"]: t for t in tess.get("api-tokens")}
    assert listed["nightly"]["used_ms"] is None
    assert listed["nightly"]["expires_ms"] == listed["nightly"]["created_ms"] + 3_600_000
    assert {t["user"] for t in tess.get("api-tokens")} == {"tess"}
    nightly.get("fleet")
    one = next(t for t in tess.get("api-tokens") if t["name"] == "nightly")
    assert one["used_ms"] == pytest.approx(time.time() * 1000, abs=30_000)
    nightly.get("fleet")
    assert one in tess.get("api-tokens")  # within the minute nothing is written
    tess.post(f"api-tokens/{one['id']}/revoke")
    with pytest.raises(DeniedError):
        nightly.get("fleet")
    assert done(console, "token.revoke", "nightly")["detail"] == {"id": one["id"], "user": "tess"}


def test_a_program_that_leaves_makes_its_token_worthless(console: ConsoleProcess) -> None:
    olga = join(console, "olga")
    olga.post("api-tokens/mine/revoke")
    with pytest.raises(DeniedError):
        olga.get("me")
    assert done(console, "token.revoke", "command line")["who"] == "olga"


def test_another_s_token_is_an_administrator_s_business_alone(console: ConsoleProcess) -> None:
    one, two = join(console, "one"), join(console, "two")
    number = one.get("api-tokens")[0]["id"]
    with pytest.raises(NotFoundError):
        two.post(f"api-tokens/{number}/revoke")
    one.get("me")
    console.rest.post(f"api-tokens/{number}/revoke")
    with pytest.raises(DeniedError):
        one.get("me")


def test_a_viewer_sees_no_users_and_changes_none(console: ConsoleProcess) -> None:
    eve = join(console, "eve")
    with pytest.raises(DeniedError, match="may look"):
        eve.get("users")
    for path in ("users/admin/disable", "users/admin/enable"):
        with pytest.raises(DeniedError, match="may look"):
            eve.post(path)
    with pytest.raises(DeniedError, match="may look"):
        eve.post("users/admin/password", {"password": "mine from now"})


# -- from a shell


def test_people_are_let_in_and_out_from_a_shell(console: ConsoleProcess, shell: Shell) -> None:
    def fleet(*asked: str, **more: str) -> Done:
        found = shell(*asked, **more)
        assert found.returncode == 0, found.stderr
        return found

    fleet("users", "add", "shelly", "--role", "administrator", LITTORAL_NEW_PASSWORD=SECRET)
    assert "administrator" in fleet("users", "list").stdout
    fleet("users", "password", "shelly", LITTORAL_NEW_PASSWORD="another one")
    enter(console, "shelly", "another one")
    fleet("users", "disable", "shelly")
    assert "disabled" in fleet("users", "list").stdout
    fleet("users", "enable", "shelly")
    secret = fleet("api-tokens", "new", "nightly", "--days", "90").stdout.strip()
    assert Console(console.ready["http"], token=secret).get("me")["username"] == "admin"
    listed = records.parse_json(fleet("api-tokens", "list", "--json").stdout.encode(), limit=2**20)
    one = next(t for t in listed["api_tokens"] if t["name"] == "nightly")
    assert one["revoked_ms"] is None
    fleet("api-tokens", "revoke", str(one["id"]))
    assert "revoked now" in fleet("api-tokens", "list").stdout
    own = {"LITTORAL_PASSWORD": PASSWORD, "LITTORAL_NEW_PASSWORD": PASSWORD}
    assert fleet("users", "password", **own).stdout == "admin: has another password\n"


def test_a_password_is_asked_for_and_never_an_argument(shell: Shell) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "littoral", "fleet", "users", "add", "max"],
        env={**os.environ, ENVIRONMENT: str(shell.login)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "set LITTORAL_NEW_PASSWORD [usage]" in done.stderr
