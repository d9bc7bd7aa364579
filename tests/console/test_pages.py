"""The pages over HTTP: who may see and do what, and that strangers' words stay words."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from console.coast import BOARDS, MARK, PASSWORD, USER, VIEWER, Coast
from console.listening import listening
from littoral.trust import writer
from littoral.wire.enrolment import Token
from littoral_console.app import people_app
from littoral_console.context import Context
from littoral_console.server import Options, open_context

PAGES = {
    "/": "Overview",
    "/devices": "Devices",
    "/devices/lock-west": "lock-west",
    "/releases": "Releases",
    "/releases/digits/3": "digits r3",
    "/releases/digits/3/push": "Push digits r3",
    "/upload": "Upload",
    "/rollouts": "Rollouts",
    "/rollouts/5": "Rollout 5",
    "/history": "History",
    "/telemetry": "Telemetry",
    "/tokens": "Enrolment tokens",
    "/claims": "Waiting for approval",
    "/audit": "Audit",
    "/people": "People",
}
DEEDS = (
    "/logout",
    "/tokens",
    "/tokens/1/revoke",
    "/claims/1/approve",
    "/claims/1/refuse",
    "/releases/digits/3/push",
    "/devices/lock-west/revoke",
    "/devices/lock-west/thaw",
    "/devices/lock-west/rotate",
    "/devices/lock-west/labels",
    "/people",
    "/people/access",
    "/people/password",
    "/upload",
)
HTML = {"Accept": "text/html"}


class Browsing:
    """A browser without scripts: a session's cookie, and the forms' token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers.update(HTML)

    def get(self, path: str, **more: str) -> requests.Response:
        return self.session.get(self.url + path, headers=more, timeout=10, allow_redirects=False)

    def post(self, path: str, **form: str) -> requests.Response:
        return self.session.post(self.url + path, data=form, timeout=10, allow_redirects=False)

    def login(self, name: str, password: str = PASSWORD, **more: str) -> requests.Response:
        return self.post("/login", username=name, password=password, **more)

    def csrf(self, path: str = "/tokens") -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found is not None
        return found[1]


@pytest.fixture(scope="module")
def browsing(url: str) -> Iterator[Callable[..., Browsing]]:
    opened: list[Browsing] = []

    def browse(name: str | None = USER) -> Browsing:
        found = Browsing(url)
        opened.append(found)
        if name is not None:
            assert found.login(name).status_code == 303
        return found

    yield browse
    for one in opened:
        one.session.close()


@pytest.fixture(scope="module")
def ada(browsing: Callable[..., Browsing]) -> Browsing:
    return browsing(USER)


def test_nobody_sees_anything_before_signing_in(browsing: Callable[..., Browsing]) -> None:
    stranger = browsing(None)
    for path in (*PAGES, "/telemetry/data.json", "/releases/digits/1/report"):
        reply = stranger.get(path)
        assert reply.status_code == 303, path
        assert reply.headers["Location"].startswith("/login?next=%2F"), path


def test_what_is_not_there_is_a_page_for_people_and_json_for_programs(
    ada: Browsing, browsing: Callable[..., Browsing], url: str
) -> None:
    for found in (ada.get("/devcies"), browsing(None).get("/devcies")):
        assert found.status_code == 404
        assert "<h1>There is no such page</h1>" in found.text
        assert "default-src 'none'" in found.headers["Content-Security-Policy"]
    for asked in (
        ada.get("/api/v1/devcies"),
        requests.get(f"{url}/devcies", headers={"Accept": "*/*"}, timeout=10),
    ):
        assert (asked.status_code, asked.json()["code"]) == (404, "not-found")


def test_what_a_program_asks_for_is_refused_as_json(url: str) -> None:
    reply = requests.get(f"{url}/telemetry/data.json", timeout=10)
    assert (reply.status_code, reply.json()["code"]) == (401, "denied")


def test_a_part_of_a_page_asks_to_load_the_page_when_the_session_is_over(url: str) -> None:
    reply = requests.get(f"{url}/", headers={"HX-Request": "true"}, timeout=10)
    assert (reply.status_code, reply.headers["HX-Refresh"]) == (401, "true")


def test_a_wrong_password_is_refused_in_words(browsing: Callable[..., Browsing]) -> None:
    stranger = browsing(None)
    reply = stranger.login(USER, "wrong horse")
    assert reply.status_code == 401
    assert "no such user, or another password" in reply.text
    assert not stranger.session.cookies


@pytest.mark.parametrize(
    ("onward", "to"),
    [
        ("/devices?q=pier", "/devices?q=pier"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
    ],
)
def test_signing_in_leads_on_within_the_console_alone(
    browsing: Callable[..., Browsing], onward: str, to: str
) -> None:
    reply = browsing(None).login(USER, next=onward)
    assert (reply.status_code, reply.headers["Location"]) == (303, to)


def test_a_session_is_kept_from_scripts_and_other_sites(browsing: Callable[..., Browsing]) -> None:
    cookie = browsing(None).login(USER).headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_signing_out_ends_the_session(browsing: Callable[..., Browsing]) -> None:
    ada = browsing(USER)
    kept = dict(ada.session.cookies)
    assert ada.post("/logout", csrf=ada.csrf()).headers["Location"] == "/login"
    ada.session.cookies.update(kept)
    assert ada.get("/").status_code == 303


def test_every_page_says_what_it_is_and_runs_no_inline_script(ada: Browsing) -> None:
    for path, title in PAGES.items():
        reply = ada.get(path)
        assert reply.status_code == 200, path
        heading = re.search(r"<h1>(.*?)</h1>", reply.text, re.DOTALL)
        assert heading is not None
        assert title in re.sub(r"<[^>]+>", "", heading[1]), path
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=\"|\sstyle=\"", reply.text), path


def test_pages_hold_what_the_devices_said(ada: Browsing) -> None:
    devices = ada.get("/devices").text
    for board in BOARDS:
        assert f'href="/devices/{board.id}"' in devices
    assert "failed r3, keeps r2" in devices
    history = ada.get("/history").text
    for words in ("Not the bytes that were signed", "<code>outputs</code>", "0.31"):
        assert words in history
    rollout = ada.get("/rollouts/5").text
    assert rollout.count("Not the bytes that were signed") == 1
    assert re.search(r"in probation until (\S+ )?\d\d:\d\d UTC", rollout)
    assert "asked for" in rollout
    assert "1 healthy, 2 under way" in rollout or "2 under way" in rollout


def test_a_label_that_repeats_the_number_is_not_said_twice(ada: Browsing) -> None:
    assert 'class="label"' not in ada.get("/releases/keywords/2").text
    assert 'class="label">2025.11.2<' in ada.get("/releases/digits/2").text
    assert 'class="label">2<' not in ada.get("/releases").text


def test_what_a_release_costs_is_told_by_what_a_device_has(ada: Browsing) -> None:
    page = ada.get("/releases/digits/3").text
    part = page[page.index('id="costs"') : page.index('id="files-of"')]
    rows = [re.findall(r"<t[hd][^>]*>([^<]+)<", row) for row in part.split("<tr>")[2:]]
    assert [row[:2] for row in rows] == [
        ["int8", "plain"],
        ["int8", "zstd, to a new device"],
        ["int8", "to a device with r2"],
        ["int8", "to a device with r1"],
    ]
    assert rows[0][2:] == ["61.5 kB", "100 %"]
    assert all(row[2].endswith(" B") for row in rows[2:]), rows


def test_what_is_wanted_and_what_is_reported_are_two_things(ada: Browsing) -> None:
    page = re.sub(r"<[^>]+>", " ", ada.get("/devices/pier-gate").text)
    row = " ".join(page[page.index("Verdict") : page.index("Latency")].split())
    assert "digits digits r3 rollout 5" in row  # wanted
    assert "digits r2 int8 r2 steady refused r3, keeps r2" in row  # reported, and what of it


def test_a_stranger_s_words_are_shown_as_words(ada: Browsing) -> None:
    for path in ("/devices/buoy-07", "/devices/lock-west", "/history", "/releases", "/audit"):
        page = ada.get(path).text
        assert "&lt;img src=x onerror=alert(1)&gt;" in page, path
        assert MARK not in page, path
    for query in ("/devices?q=<img>", "/releases/digits/3/push?to=<img>", "/login?next=<img>"):
        assert "<img>" not in ada.get(query).text


def test_a_report_gets_an_origin_of_its_own_and_no_scripts(ada: Browsing) -> None:
    reply = ada.get("/releases/digits/1/report")
    assert MARK in reply.text
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-" not in policy
    assert "script-src" not in policy


def test_history_is_filtered_by_device_model_and_reason(ada: Browsing) -> None:
    def rows(query: str) -> int:
        return ada.get(f"/history?{query}").text.count("<tr>") - 1

    assert rows("code=hash") == 1
    assert rows("refused=1") == 2
    assert rows("refused=1&device=lock-west") == 1
    assert rows("model=keywords&device=quay-cam-2") == 8
    assert rows("model=none") == -1
    first = ada.get("/history").text
    earlier = re.search(r'href="(/history\?before=\d+)"', first)
    assert earlier is not None
    assert ada.get(earlier[1]).status_code == 200


def test_devices_are_found_by_what_is_shown_of_them(ada: Browsing) -> None:
    def found(query: str) -> list[str]:
        return re.findall(r'class="device" href="/devices/([^"]+)"', ada.get(query).text)

    assert found("/devices?q=tensorrt") == ["lock-west"]
    assert found("/devices?q=site=harbour digits:3") == ["quay-cam-1", "quay-cam-2"]
    assert found("/devices?state=revoked") == ["old-kiosk"]
    assert found("/devices?state=attention") == ["lock-west", "pier-gate"]
    assert found("/devices?state=offline") == ["buoy-07"]
    assert found("/devices?q=nothing-of-the-kind") == []


def test_htmx_gets_the_part_that_lives_and_no_page_around_it(ada: Browsing) -> None:
    part = ada.get("/devices?state=online", **{"HX-Request": "true"}).text
    assert part.lstrip().startswith('<div id="live" hx-get="/devices?state=online"')
    assert "<html" not in part
    assert "pier-gate" in part


def test_a_page_that_is_not_there_says_so(ada: Browsing) -> None:
    for path in ("/devices/none", "/releases/none/1", "/releases/digits/x", "/rollouts/99"):
        reply = ada.get(path)
        assert reply.status_code == 404, path
        assert "There is no such page" in reply.text
    assert ada.get("/static/../pages/frame.py").status_code == 404
    assert ada.get("/static/%2e%2e/app.py").status_code == 404


def test_a_form_without_its_token_is_refused(ada: Browsing) -> None:
    for path in DEEDS:
        for form in ({}, {"csrf": "guessed"}):
            reply = ada.post(path, to="all", confirmed="yes", **form)
            assert reply.status_code == 403, path
            assert "load it again" in reply.text
    assert ada.get("/rollouts/6").status_code == 404


def test_a_form_of_another_site_is_refused(browsing: Callable[..., Browsing]) -> None:
    ada = browsing(USER)
    csrf = ada.csrf()
    ada.session.headers["Origin"] = "https://evil.example"
    assert ada.post("/tokens", csrf=csrf).status_code == 403
    assert ada.login(USER).status_code == 403


def test_a_viewer_looks_and_changes_nothing(browsing: Callable[..., Browsing]) -> None:
    viewer = browsing(VIEWER)
    csrf = viewer.csrf("/")
    for path in PAGES:
        page = viewer.get(path)
        assert page.status_code == 200
        forms = re.findall(
            r'method="post" action="([^"]+)"|method="post" class="confirm"', page.text
        )
        own = re.compile(r"/logout|/people/me/.*|/people/tokens/\d+/revoke")
        assert [found for found in forms if not own.fullmatch(found)] == [], path
    for path in DEEDS[1:]:
        reply = viewer.post(path, csrf=csrf, to="all", confirmed="yes")
        assert reply.status_code == 403, path
        assert "may look, and change nothing" in reply.text


def test_a_device_s_labels_are_changed_on_its_page(ada: Browsing) -> None:
    page = "/devices/old-kiosk"
    assert ada.post(f"{page}/labels", csrf=ada.csrf(), labels="site=hall").status_code == 303
    assert '<span class="chip">site=hall</span>' in ada.get(page).text
    assert 'value="site=hall"' in ada.get(page).text
    wrong = ada.post(f"{page}/labels", csrf=ada.csrf(), labels="hall")
    assert "expected words as site=berlin" in wrong.text
    assert ada.post(f"{page}/labels", csrf=ada.csrf(), labels="").status_code == 303
    assert "site=hall" not in ada.get(page).text
    assert "device.labels" in ada.get("/audit").text


def test_people_are_let_in_disabled_and_given_passwords(
    ada: Browsing, browsing: Callable[..., Browsing]
) -> None:
    csrf = ada.csrf()
    made = {"username": "lin <img>", "password": "first word", "role": "viewer"}
    assert ada.post("/people", csrf=csrf, **made).status_code == 303
    page = ada.get("/people").text
    assert "lin &lt;img&gt;" in page
    assert "<img>" not in page
    lin = browsing(None)
    assert lin.login("lin <img>", "first word").status_code == 303
    assert lin.get("/people").text.count("<h2") == 3  # what is lin's own
    own = {"current": "first word", "password": "second word"}
    changed = lin.post("/people/me/password", csrf=lin.csrf("/people"), **own)
    assert "You have another password" in changed.text
    assert lin.get("/").status_code == 200
    wrong = lin.post("/people/me/password", csrf=lin.csrf("/people"), **own)
    assert "not the password that you have now" in wrong.text
    reset = {"username": "lin <img>", "password": "third word"}
    assert "signed out everywhere" in ada.post("/people/password", csrf=csrf, **reset).text
    assert lin.get("/").status_code == 303
    gone = {"username": "lin <img>", "deed": "disable"}
    assert ada.post("/people/access", csrf=csrf, **gone).status_code == 303
    assert lin.login("lin <img>", "third word").status_code == 401
    assert ada.post("/people/access", csrf=csrf, **{**gone, "deed": "enable"}).status_code == 303
    assert lin.login("lin <img>", "third word").status_code == 303
    said = ada.get("/audit").text
    for action in ("user.new", "user.password", "user.disable", "user.enable"):
        assert action in said


def test_an_api_token_is_shown_once_and_revoked(ada: Browsing, url: str) -> None:
    made = ada.post("/people/me/tokens", csrf=ada.csrf(), name="nightly", days="90").text
    secret = re.search(r"litp_[\w-]+", made)
    assert secret is not None
    page = ada.get("/people").text
    assert secret[0] not in page
    bearer = {"Authorization": f"Bearer {secret[0]}"}
    assert requests.get(f"{url}/api/v1/me", headers=bearer, timeout=10).status_code == 200
    number = re.search(r'action="/people/tokens/(\d+)/revoke"', page)
    assert number is not None
    path = f"/people/tokens/{number[1]}/revoke"
    assert ada.post(path, csrf="guessed").status_code == 403
    assert ada.post(path, csrf=ada.csrf()).status_code == 303
    assert requests.get(f"{url}/api/v1/me", headers=bearer, timeout=10).status_code == 401


def test_a_token_is_shown_once_with_its_command(ada: Browsing) -> None:
    made = ada.post("/tokens", csrf=ada.csrf(), device="new-cam", labels="site=quay line=3")
    command = re.search(r"littoral enroll (\S+) --token (lit1_[\w-]+)", made.text)
    assert command is not None
    assert command[1].startswith("https://")
    assert Token.decode(command[2]).fleet == "coast"
    again = ada.get("/tokens").text
    assert command[2] not in again
    assert "new-cam" in again
    assert "line=3" in again
    number = re.search(r'action="/tokens/(\d+)/revoke"', again)
    assert number is not None
    assert ada.post(f"/tokens/{number[1]}/revoke", csrf=ada.csrf()).status_code == 303
    assert f"/tokens/{number[1]}/revoke" not in ada.get("/tokens").text
    assert "enrolment-token.revoke" in ada.get("/audit").text


def test_a_token_that_needs_an_operator_is_told_and_comes_as_a_file(ada: Browsing) -> None:
    form = {"device": "new-buoy", "serial": "10000000abcdef01", "approve": "1"}
    made = ada.post("/tokens", csrf=ada.csrf(), **form).text
    assert "until somebody approves it" in made
    assert "name = &#34;new-buoy&#34;" in made
    assert "token = &#34;lit1_" in made
    listed = ada.get("/tokens").text
    assert "on the board <code>10000000abcdef01</code>" in listed
    assert "if approved" in listed
    assert "lit1_" not in listed


def test_an_operator_compares_and_approves(ada: Browsing) -> None:
    assert "A board waits for an operator" in ada.get("/").text
    assert 'href="/claims"' in ada.get("/devices").text
    page = ada.get("/claims").text
    waits, decided = page.partition('id="decided"')[::2]
    assert re.search(r'class="fingerprint">([0-9a-f]{4}-){7}[0-9a-f]{4}<', waits)
    assert "buoy-1" in waits
    assert "buoy-2" in decided
    found = re.search(r'action="(/claims/\d+)/approve"', waits)
    assert found is not None
    assert ada.post(f"{found[1]}/approve", csrf=ada.csrf()).status_code == 303
    after = ada.get("/claims").text
    assert "enrolled when it asks next" in after
    assert f"{found[1]}/approve" not in after
    assert ada.post(f"{found[1]}/refuse", csrf=ada.csrf()).status_code == 303
    assert "Nobody waits" in ada.get("/claims").text
    assert "for an operator" not in ada.get("/").text
    assert ada.post("/claims/999/approve", csrf=ada.csrf()).status_code == 404


@pytest.mark.parametrize("labels", ["site", "site=a b", "model=x", "a=<b>"])
def test_labels_that_selectors_cannot_speak_of_are_refused(ada: Browsing, labels: str) -> None:
    reply = ada.post("/tokens", csrf=ada.csrf(), labels=labels)
    assert reply.status_code == 400
    assert "expected" in reply.text


def test_a_push_is_made_only_when_it_is_confirmed(ada: Browsing) -> None:
    path = "/releases/digits/2/push"
    assert ada.post(path, csrf=ada.csrf(), to="site=pier").status_code == 400
    reply = ada.post(path, csrf=ada.csrf(), to="site=pier", confirmed="yes")
    assert reply.status_code == 303
    page = ada.get(reply.headers["Location"]).text
    assert "pier-gate" in page
    assert "lock-west" not in page


def test_a_push_says_beforehand_who_is_meant_and_who_cannot(ada: Browsing) -> None:
    page = ada.get("/releases/digits/4/push?to=site=harbour").text
    assert "1 of 2" in page
    assert "not asked: other hardware" in page
    assert "Push to 1 device<" in page
    assert "Push to 2 devices" in ada.get("/releases/digits/4/push?to=site=harbour&force=1").text
    wrong = ada.get("/releases/digits/4/push?to=site=").text
    assert "This selector cannot be used." in wrong
    assert 'class="confirm"' not in wrong


def test_a_device_is_revoked(coast: Coast, ada: Browsing) -> None:
    assert ada.post("/devices/buoy-07/revoke", csrf=ada.csrf()).status_code == 303
    page = ada.get("/devices/buoy-07").text
    assert '<span class="pill bad">revoked</span>' in page
    assert "Revoke buoy-07" not in page
    assert coast.context.database is not None


def test_charts_get_true_percentiles_and_lines_are_broken_by_silence(
    coast: Coast, ada: Browsing
) -> None:
    found = ada.get("/telemetry/data.json?model=digits&span=1h").json()
    assert [line["release"] for line in found["releases"]] == [3, 2]
    newest = found["releases"][0]
    assert len(newest["t"]) == len(newest["p50"]) == len(newest["p99"]) > 30
    assert all(
        a <= b <= c for a, b, c in zip(newest["p50"], newest["p95"], newest["p99"], strict=True)
    )
    late = coast.now_ms + 20 * 60_000
    coast.take([coast.window(BOARDS[0], {"digits": 3}, at_ms=late)], late)
    coast.context.clock = lambda: late + 1000
    try:
        line = ada.get("/telemetry/data.json?model=digits&device=quay-cam-1").json()["releases"][0]
    finally:
        coast.context.clock = lambda: coast.now_ms
    assert line["p95"][-2] is None
    assert line["p95"][-1] > 0


def test_a_histogram_shares_out_all_requests(ada: Browsing) -> None:
    found = ada.get("/telemetry/spread.json?model=digits&span=1h").json()
    assert [one["release"] for one in found["releases"]] == [3, 2]
    edges = found["edges_us"]
    for one in found["releases"]:
        assert sum(one["share"]) == pytest.approx(1)
        assert len(one["share"]) == len(edges)
        assert one["share"][0] == one["share"][-1] == 0
    assert edges == sorted(edges)


def test_nonsense_in_a_query_shows_what_there_is(ada: Browsing) -> None:
    found = ada.get("/telemetry/data.json?model=none&stage=none&span=none&device=none").json()
    assert found["releases"] == []
    assert (found["stage"], found["span"]) == ("invoke", "1h")
    assert ada.get("/telemetry?model=none&stage=none&span=none&device=none").status_code == 200
    assert ada.get("/audit?before=x").status_code == 422


@contextmanager
def opened(base: Path) -> Iterator[tuple[str, Context]]:
    data = base / "console"
    writer.init(base / "published", offline=base / "offline", online=data / "keys", fleet="new")
    context = open_context(Options(data=data, http="127.0.0.1:0", devices="127.0.0.1:0"))
    try:
        with listening(people_app(context)) as url:
            yield url, context
    finally:
        context.database.close()


def test_the_first_login_makes_the_administrator_and_every_page_bears_an_empty_fleet(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as (url, context):
        code = context.first_login()
        assert code is not None
        first = Browsing(url)
        with first.session:
            assert "Set the console up" in first.get("/login").text
            assert code in first.get(f"/setup?code={code}").text
            wrong = first.post("/setup", code="guess", username="ada", password=PASSWORD)
            assert wrong.status_code == 403
            assert "one-time code" in wrong.text
            short = first.post("/setup", code=code, username="ada", password="short")
            assert short.status_code == 400
            assert "at least 8 characters" in short.text
            done = first.post("/setup", code=code, username="ada", password=PASSWORD)
            assert (done.status_code, done.headers["Location"]) == (303, "/")
            assert first.get("/setup").headers["Location"] == "/login"
            for path in ("/", "/devices", "/releases", "/rollouts", "/history", "/telemetry"):
                assert first.get(path).status_code == 200, path
            assert "No devices yet" in first.get("/devices").text
            telemetry = first.get("/telemetry").text
            assert "Nothing to measure yet" in telemetry
            assert "<select" not in telemetry
            empty = first.session.post(
                f"{url}/upload",
                data={"csrf": first.csrf()},
                files={"files": ("", b"")},
                timeout=10,
            )
            assert "there is no file in what was chosen" in empty.text
            made = first.post("/tokens", csrf=first.csrf())
            assert made.status_code == 400  # without a root, whom should it name?
            assert "littoral fleet releases upload" in made.text
    assert not (tmp_path / "console" / "first-login").exists()
