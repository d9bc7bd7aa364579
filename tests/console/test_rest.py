"""The REST API: who may ask, how a browser's session is kept from other pages, its document."""

import json
from typing import Any

import pytest
import urllib3

from littoral.errors import DeniedError, MisuseError, NotFoundError
from littoral.wire.messages import Report
from littoral_console.access import COOKIE
from littoral_console.client import Console
from simulators.console import PASSWORD, ConsoleProcess, DeviceSimulator, once


class Browser:
    """Cookies, headers, and nothing done by itself."""

    def __init__(self, console: ConsoleProcess) -> None:
        self._base = console.ready["http"]
        self.cookie = ""
        self.csrf = ""

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any, str]:
        sent = {"Content-Type": "application/json", "Cookie": self.cookie}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with urllib3.PoolManager(retries=False) as pool:
            data = None if body is None else json.dumps(body).encode()
            reply = pool.request(method, f"{self._base}{path}", body=data, headers=sent)
            said = json.loads(reply.data) if reply.data else None
            return reply.status, said, reply.headers.get("Set-Cookie", "")

    def log_in(self) -> None:
        body = {"username": "admin", "password": PASSWORD}
        status, said, cookie = self.ask("POST", "/api/v1/session", body)
        assert status == 200
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        self.cookie, self.csrf = cookie.partition(";")[0], said["csrf"]
        assert self.cookie.startswith(COOKIE)


@pytest.fixture
def browser(console: ConsoleProcess) -> Browser:
    found = Browser(console)
    found.log_in()
    return found


def test_nobody_is_told_anything_without_a_login(console: ConsoleProcess) -> None:
    nobody = Console(console.ready["http"])
    for path in ("fleet", "devices", "releases", "rollouts", "history", "telemetry", "audit", "me"):
        with pytest.raises(DeniedError, match="log in"):
            nobody.get(path)
    with pytest.raises(DeniedError):
        Console(console.ready["http"], token="litp_guess").get("fleet")


def test_every_path_of_the_document_asks_who_it_is(console: ConsoleProcess) -> None:
    browser = Browser(console)
    document = browser.ask("GET", "/api/v1/openapi.json")[1]
    open_ones = {"/api/v1/setup", "/api/v1/login", "/api/v1/session"}
    for path, methods in document["paths"].items():
        for method in methods:
            if path in open_ones and method == "post":
                continue
            found = path.replace("{", "").replace("}", "")
            assert browser.ask(method.upper(), found, {})[0] in {401, 422}, (method, path)


def test_the_document_is_one(console: ConsoleProcess) -> None:
    document = Browser(console).ask("GET", "/api/v1/openapi.json")[1]
    assert document["openapi"].startswith("3.")
    assert document["info"]["title"] == "littoral"
    names = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(names) == len(set(names))
    assert not [path for path in document["paths"] if not path.startswith("/api/v1/")]
    known = document["components"]["schemas"]
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in known


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [r for below in value.values() for r in _references(below)]
    if isinstance(value, list):
        return [r for below in value for r in _references(below)]
    return []


def test_a_session_reads_and_changes_with_its_csrf_token_alone(browser: Browser) -> None:
    assert browser.ask("GET", "/api/v1/me")[1] == {"username": "admin", "role": "administrator"}
    body = {"labels": {"site": "berlin"}}
    status, said, _ = browser.ask("POST", "/api/v1/enrolment-tokens", body)
    assert (status, said["code"]) == (403, "denied")
    status, _, _ = browser.ask("POST", "/api/v1/enrolment-tokens", body, X_CSRF_Token="guess")
    assert status == 403
    status, _, _ = browser.ask("POST", "/api/v1/enrolment-tokens", body, X_CSRF_Token=browser.csrf)
    assert status == 201
    status, _, _ = browser.ask(
        "POST",
        "/api/v1/enrolment-tokens",
        body,
        X_CSRF_Token=browser.csrf,
        Origin="http://evil.example",
    )
    assert status == 403


def test_a_csrf_token_of_no_alphabet_is_a_wrong_one(browser: Browser) -> None:
    status, said, _ = browser.ask("POST", "/api/v1/rollouts", {}, X_CSRF_Token="caf\u00e9")
    assert (status, said["code"]) == (403, "denied")


def test_a_session_ends_when_one_logs_out(browser: Browser) -> None:
    status, _, _ = browser.ask("DELETE", "/api/v1/session", X_CSRF_Token=browser.csrf)
    assert status == 204
    assert browser.ask("GET", "/api/v1/me")[0] == 401


def test_the_console_answers_to_its_own_names_alone(console: ConsoleProcess) -> None:
    browser = Browser(console)
    for name in ("localhost", "127.0.0.1:1", "[::1]:8080", "LOCALHOST"):
        assert browser.ask("GET", "/healthz", Host=name)[0] == 200, name
    for name in ("evil.example", "127.0.0.1.evil.example", ""):
        assert browser.ask("GET", "/healthz", Host=name)[0] in {400, 421}, name


def test_the_first_login_works_once(console: ConsoleProcess) -> None:
    body = {"code": "guess", "username": "eve", "password": "long enough"}
    with pytest.raises(DeniedError, match="set up already"):
        Console(console.ready["http"]).post("setup", body)
    assert not (console.data / "first-login").exists()


def test_a_wrong_password_is_slowed_down(fresh: ConsoleProcess) -> None:
    nobody = Console(fresh.ready["http"])
    body = {"username": "admin", "password": "wrong"}
    for _ in range(10):
        with pytest.raises(DeniedError, match="another password"):
            nobody.post("login", body)
    with pytest.raises(DeniedError, match="too many failures"):
        nobody.post("login", {**body, "password": PASSWORD})


def test_a_viewer_looks_and_changes_nothing(console: ConsoleProcess) -> None:
    body = {"username": "vera", "password": "long enough"}
    console.rest.post("users", {**body, "role": "viewer"})
    token = Console(console.ready["http"]).post("login", body)["token"]
    vera = Console(console.ready["http"], token=token)
    assert vera.get("fleet")["fleet"] == "shore"
    order = {"model": "digits", "release": 1}
    for path, sent in (("enrolment-tokens", {}), ("rollouts", order), ("users", body)):
        with pytest.raises(DeniedError, match="look, and change nothing"):
            vera.post(path, sent)
    with pytest.raises(DeniedError):
        vera.put_file(f"uploads/x/files/blobs/{'0' * 64}", console.data / "console.json")
    vera.post("api-tokens/mine/revoke")
    with pytest.raises(DeniedError):
        vera.get("fleet")


def test_what_is_wrong_in_a_request_is_said(console: ConsoleProcess) -> None:
    with pytest.raises(MisuseError, match="release"):
        console.rest.post("rollouts", {"model": "digits", "release": 0})
    with pytest.raises(MisuseError, match="surprise"):
        console.rest.post("rollouts", {"model": "digits", "release": 1, "surprise": 1})
    with pytest.raises(NotFoundError):
        console.rest.get("devices/nobody")
    with pytest.raises(NotFoundError):
        console.rest.get("nothing/here")
    with pytest.raises(MisuseError, match="at least 8"):
        console.rest.post("users", {"username": "x", "password": "short"})


@pytest.mark.parametrize(
    "path",
    [
        f"history?before={10**20}",
        f"audit?before={2**63}",
        f"telemetry?release={2**64}",
        f"rollouts/{10**20}",
        f"releases/digits/{10**20}",
    ],
)
def test_a_number_that_no_database_has_is_a_mistake_and_no_failure(
    console: ConsoleProcess, path: str
) -> None:
    with pytest.raises(MisuseError, match="out of range"):
        console.rest.get(path)


def test_a_refusal_quotes_no_more_than_a_person_reads(console: ConsoleProcess) -> None:
    for body in ({"x" * 100_000: 1}, {"labels": {"site": "x" * 100_000}}):
        with pytest.raises(MisuseError) as refused:
            console.rest.post("enrolment-tokens", body)
        assert len(str(refused.value)) < 3000


def test_a_token_that_lives_longer_than_the_sun_is_refused(console: ConsoleProcess) -> None:
    with pytest.raises(MisuseError, match="less than or equal"):
        console.rest.post("api-tokens", {"name": "for ever", "lives_s": 10**17})


def test_half_a_character_is_quoted_as_far_as_it_goes(console: ConsoleProcess) -> None:
    with pytest.raises(MisuseError, match="expected words of letters"):
        console.rest.post("enrolment-tokens", {"labels": {"\ud800": "x"}})


def test_a_body_without_an_end_is_not_read_to_it(console: ConsoleProcess) -> None:
    """Nobody was asked for a password yet, and the console held all of 300 MB in memory."""
    url = f"{console.ready['http']}/api/v1/login"
    with urllib3.PoolManager(retries=False) as pool:
        for body in (b" " * 2_000_000, (b" " * 50_000 for _ in range(40))):
            reply = pool.request("POST", url, body=body, headers={"Connection": "close"})
            assert (reply.status, reply.json()["code"]) == (413, "endless")


def test_a_releases_files_are_read_through_the_console(console: ConsoleProcess) -> None:
    release = console.rest.get("releases/digits/1")
    name = release["files"][0]["name"]
    browser = Browser(console)
    browser.log_in()
    with urllib3.PoolManager() as pool:
        reply = pool.request(
            "GET",
            f"{console.ready['http']}/api/v1/releases/digits/1/files/{name}",
            headers={"Cookie": browser.cookie},
        )
    assert reply.status == 200
    assert reply.headers["Content-Security-Policy"] == "sandbox"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    with pytest.raises(NotFoundError):
        console.rest.get("releases/digits/1/files/nothing")


def test_what_a_release_costs_is_told_to_programs(console: ConsoleProcess) -> None:
    (cost,) = console.rest.get("releases/digits/1/costs")
    assert cost["variant"] == "cpu"
    assert cost["plain"] >= cost["first"] > 0
    assert cost["since"] == []
    with pytest.raises(NotFoundError):
        console.rest.get("releases/digits/999/costs")


def test_labels_are_changed_and_said_in_the_audit_log(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "labelled")
    console.rest.patch("devices/labelled", {"labels": {"site": "oslo"}})
    assert [d["id"] for d in console.rest.get("devices", to="site=oslo")] == ["labelled"]
    with pytest.raises(MisuseError, match="label"):
        console.rest.patch("devices/labelled", {"labels": {"online": "x"}})
    log = console.rest.get("audit")
    entry = log["entries"][0]
    assert (entry["who"], entry["action"], entry["subject"]) == (
        "admin",
        "device.labels",
        "labelled",
    )
    assert log["broken"] is None


def test_the_fleet_is_counted(console: ConsoleProcess) -> None:
    found = console.rest.get("fleet")
    assert found["fleet"] == "shore"
    assert found["releases"] == len(console.rest.get("releases"))
    assert found["devices"] == len(console.rest.get("devices"))


def test_a_refused_document_is_found_by_its_reason_code(console: ConsoleProcess) -> None:
    """What no update says has a code of its own, and is listed with what was refused."""
    device = DeviceSimulator(console, "doubter")
    key = device.key()
    said = Report(key=key, once=once(key), time_ms=1, kind="director", code="signature")
    assert device.post(said) == {key.stream: 1}
    (found,) = console.rest.get("history", device="doubter", refused="true")
    assert (found["kind"], found["code"], found["event"]) == ("director", "signature", None)
