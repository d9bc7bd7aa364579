"""The pages in Debian's Chromium, as a person sees and uses them.

With LITTORAL_PICTURES=FOLDER set, the last test keeps a picture of every page there; run it
alone (-k pictures): the words that other tests look for are left out.
"""

import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Request,
    expect,
    sync_playwright,
)

from console.coast import BOARDS, CPU, PASSWORD, USER, Coast, publish
from littoral.wire.update import Update
from simulators.console import PASSWORD as FIRST_PASSWORD
from simulators.console import ConsoleProcess
from simulators.repository import RepositorySimulator

CHROMIUM = Path("/usr/bin/chromium")
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGES = {
    "overview": "/",
    "devices": "/devices",
    "device": "/devices/lock-west",
    "drift": "/devices/quay-cam-2",
    "releases": "/releases",
    "release": "/releases/digits/3",
    "push": "/releases/digits/3/push",
    "upload": "/upload",
    "rollouts": "/rollouts",
    "rollout": "/rollouts/5",
    "history": "/history",
    "telemetry": "/telemetry",
    "tokens": "/tokens",
    "claims": "/claims",
    "audit": "/audit",
    "people": "/people",
}
INK = """canvas => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    let drawn = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) {
        drawn += 1;
        colours.add(`${data[i] >> 4},${data[i + 1] >> 4},${data[i + 2] >> 4}`);
    }
    return [drawn, colours.size];
}"""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@dataclass
class Watched:
    """A page, and all that went wrong on it."""

    page: Page
    url: str
    trouble: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        say = self.trouble.append
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda m: say(m.text) if m.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda error: say(str(error)))
        self.page.on("requestfailed", self.failed)
        self.page.on("response", lambda r: say(f"{r.url}: {r.status}") if r.status > 399 else None)
        self.page.on("dialog", self.answer)

    def failed(self, request: Request) -> None:
        """Remember a request that failed, and not because its page was left meanwhile."""
        if request.failure != "net::ERR_ABORTED":
            self.trouble.append(f"{request.url}: {request.failure}")

    def answer(self, question: Dialog) -> None:
        """Say yes to what a page asks."""
        self.trouble.append(f"dialog {question.message}")
        question.accept()

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page


Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def signed_in(browser: Browser, url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state of a browser in which Ada has signed in by the page."""
    path = tmp_path_factory.mktemp("browser") / "state.json"
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/devices?q=pier")
    page.get_by_label("User").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{url}/devices?q=pier")
    context.storage_state(path=path)
    context.close()
    return path


@pytest.fixture
def enter(browser: Browser, url: str, signed_in: Path) -> Iterator[Open]:
    contexts: list[BrowserContext] = []

    def open_page(*, width: int = 1280, **more: object) -> Watched:
        context = browser.new_context(
            storage_state=signed_in,
            viewport={"width": width, "height": 800},
            **more,  # type: ignore[arg-type]
        )
        contexts.append(context)
        return Watched(context.new_page(), url)

    yield open_page
    for context in contexts:
        context.close()


def test_every_page_loads_without_an_error_and_fits_a_telephone(enter: Open) -> None:
    watched = enter()
    for path in (*PAGES.values(), "/devices/quay-cam-1"):  # which has an accelerator, too
        page = watched.go(path)
        for width in (400, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} wide at {width}"
    assert watched.trouble == []


def test_a_console_that_nobody_told_anything_has_no_error_either(
    browser: Browser, tmp_path: Path
) -> None:
    with ConsoleProcess(tmp_path, RepositorySimulator(tmp_path)) as console:
        watched = Watched(browser.new_page(), console.ready["http"])
        page = watched.go("/login")
        page.get_by_label("User").fill("admin")
        page.get_by_label("Password").fill(FIRST_PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{watched.url}/")
        for path in ("/", "/devices", "/telemetry", "/history", "/rollouts", "/claims"):
            watched.go(path)
        page.close()
    assert watched.trouble == []


def test_a_wrong_password_is_refused_and_said(browser: Browser, url: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/login")
    page.get_by_label("User").fill(USER)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("no such user, or another password")
    expect(page.get_by_label("User")).to_have_value(USER)
    context.close()


def test_devices_are_filtered_while_one_types(enter: Open) -> None:
    watched = enter()
    page = watched.go("/devices")
    expect(page.locator("tbody tr")).to_have_count(len(BOARDS))
    page.get_by_label("Find").press_sequentially("quay")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.url.endswith("/devices?q=quay&state=all")
    page.get_by_label("Show").select_option("attention")
    expect(page.locator("tbody tr")).to_have_count(0)
    expect(page.get_by_text("No device is meant by this filter")).to_be_visible()
    assert watched.trouble == []


def test_the_overview_moves_on_by_itself(coast: Coast, enter: Open) -> None:
    watched = enter()
    page = watched.go("/")
    expect(page.get_by_text("Larger than its memory budget")).to_have_count(0)
    said = Update(
        model="keywords", event="failed", state="idle", release=2, good=1, running=1, code="memory"
    )
    coast.report(BOARDS[3], said, at_ms=coast.context.clock())
    expect(page.get_by_text("Larger than its memory budget")).to_be_visible(timeout=9000)
    assert watched.trouble == []


def test_the_chart_is_drawn_and_moves_on_by_itself(coast: Coast, enter: Open) -> None:
    watched = enter()
    page = watched.go("/telemetry?model=digits&device=quay-cam-1")
    canvas = page.locator("#latency canvas")
    canvas.wait_for()
    drawn, colours = canvas.evaluate(INK)
    assert drawn > 3000
    assert colours > 6
    latest = page.locator("#latency .line-1 .p95 i")
    before = latest.text_content()
    assert before is not None
    assert before.endswith("µs")
    picture = canvas.evaluate("canvas => canvas.toDataURL()")
    now_ms = coast.context.clock()
    slow = coast.window(BOARDS[0], {"digits": 3}, at_ms=now_ms, long_ms=1000, slower=30)
    coast.take([slow], now_ms)
    expect(latest).to_have_text(re.compile("ms$"))
    assert canvas.evaluate("canvas => canvas.toDataURL()") != picture
    assert page.locator("#spread canvas").evaluate(INK)[0] > 3000
    page.locator("#stage").select_option("queue")
    expect(latest).to_have_text(re.compile("µs$"))
    expect(page.locator("tr.chosen").first).to_contain_text("queue")
    assert watched.trouble == []


def test_a_chart_says_the_value_under_the_pointer(enter: Open) -> None:
    watched = enter()
    page = watched.go("/devices/pier-gate")
    page.locator("#latency canvas").wait_for()
    expect(page.locator("#latency .where")).to_have_text("latest")
    page.locator("#latency .u-over").hover()
    expect(page.locator("#latency .where")).to_contain_text("UTC")
    assert watched.trouble == []


def test_the_charts_of_a_board_are_drawn_from_one_answer(enter: Open) -> None:
    watched = enter()
    asked: list[str] = []
    watched.page.on("request", lambda r: asked.append(r.url) if "board.json" in r.url else None)
    page = watched.go("/devices/quay-cam-2?span=6h")
    page.locator(".chart.low[data-drawn] canvas").nth(3).wait_for()
    drawn = int(page.locator(".chart.low").first.get_attribute("data-drawn") or 0)
    assert len(asked) <= drawn + 1, "four charts ask once"
    warmth = page.locator("[data-figure=temperature_c]")
    assert warmth.locator("canvas").evaluate(INK)[0] > 1500
    expect(warmth.locator(".keys")).to_contain_text("°C")
    expect(page.get_by_text("Throttled within the last hour")).to_be_visible()
    assert watched.trouble == []


def test_a_repository_s_folder_is_uploaded_and_only_what_is_missing(
    coast: Coast, enter: Open
) -> None:
    publish(coast.base, model="digits", release=5, hardware=CPU)
    watched = enter()
    page = watched.go("/upload")
    page.get_by_label("Repository folder").set_input_files(coast.published)
    expect(page.locator("[data-chosen]")).to_contain_text("files,")
    page.get_by_role("button", name="Verify and upload").click()
    result = page.get_by_role("status").filter(has_text="Believed and kept")
    # The model's metadata, the manifest, the model, and that as zstd; the patch was there.
    expect(result).to_contain_text("digits r5. 4 of ")
    result.get_by_role("link", name="digits r5").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("digits r5")
    assert watched.trouble == []


def test_lone_files_are_uploaded_and_a_bad_one_is_refused_with_its_code(
    coast: Coast, enter: Open, tmp_path: Path
) -> None:
    publish(coast.base, model="keywords", release=3, hardware=CPU)
    files = [path for path in coast.published.rglob("*") if path.is_file()]
    metadata = max(
        coast.published.glob("metadata/*.keywords.json"), key=lambda p: p.stat().st_mtime
    )
    forged = shutil.copy(metadata, tmp_path)
    text = metadata.read_text()
    Path(forged).write_text(text.replace('"release":3', '"release":4').replace(": 3", ": 4"))
    watched = enter()
    page = watched.go("/upload")
    chooser, send = page.get_by_label("or its files"), page.get_by_role("button", name="Verify")
    chooser.set_input_files([tmp_path / metadata.name if p == metadata else p for p in files])
    send.click()
    expect(page.locator("[data-result].bad code")).to_have_text("signature")
    assert len([found for found in watched.trouble if "422" in found]) == len(watched.trouble)
    chooser.set_input_files([__file__])
    send.click()
    expect(page.locator("[data-result].bad")).to_contain_text("the file is not of a publ")
    chooser.set_input_files(files)
    send.click()
    expect(page.locator("[data-result].good")).to_contain_text("keywords r3")


def test_without_scripts_pages_are_read_and_an_upload_works(coast: Coast, enter: Open) -> None:
    publish(coast.base, model="digits", release=6, hardware=CPU)
    watched = enter(java_script_enabled=False)
    page = watched.go("/devices?q=pier")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("button", name="Show")).to_be_visible()
    page = watched.go("/telemetry")
    expect(page.get_by_text("the table below says the same")).to_be_visible()
    page = watched.go("/upload")
    page.get_by_label("Repository folder").set_input_files(coast.published)
    page.get_by_role("button", name="Verify and upload").click()
    expect(page.get_by_role("status").filter(has_text="digits r6")).to_be_visible()
    assert watched.trouble == []


def test_a_push_asks_for_confirmation(enter: Open) -> None:
    watched = enter()
    page = watched.go("/releases")
    page.get_by_role("row", name="digits r2").get_by_role("link", name="Push…").click()
    page.get_by_label("Selector").fill("site=pier")
    page.get_by_role("button", name="Show who is meant").click()
    push = page.get_by_role("button", name="Push to 1 device")
    push.click()
    assert "/push" in page.url  # the box is not ticked: nothing was asked
    page.get_by_label("Yes, ask 1 device to run digits r2").check()
    push.click()
    page.wait_for_url("**/rollouts/*")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("pier-gate")
    assert watched.trouble == []


def test_a_token_s_command_is_copied_and_the_token_revoked(enter: Open) -> None:
    watched = enter(permissions=["clipboard-read", "clipboard-write"])
    page = watched.go("/tokens")
    page.get_by_label("Device's name").fill("slipway-1")
    page.get_by_role("button", name="Make a token").click()
    command = page.locator("#command").text_content()
    assert command is not None
    assert command.startswith("littoral enroll https://")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == command
    page.get_by_text("put it on the card").click()
    page.get_by_role("button", name="Copy").last.click()
    expect(page.locator("#said")).to_have_text("Copied.")
    pasted = "() => navigator.clipboard.readText().then(text => text.startsWith('url'))"
    page.wait_for_function(pasted)
    file = tomllib.loads(page.evaluate("navigator.clipboard.readText()"))
    assert file.keys() == {"url", "token", "name"}
    assert file["token"] in command
    assert watched.trouble == []
    page.get_by_role("row", name="slipway-1").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="slipway-1")).to_contain_text("over")
    assert [found[:6] for found in watched.trouble] == ["dialog"]


def test_an_operator_confirms_what_the_board_shows(enter: Open) -> None:
    watched = enter()
    page = watched.go("/claims")
    row = page.get_by_role("row", name="buoy-1")
    shown = row.locator(".fingerprint").text_content()
    assert shown is not None
    row.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("row", name="buoy-1")).to_contain_text("enrolled when it asks next")
    assert watched.trouble == [f"dialog Does the board show {shown}?"]


def test_what_strangers_wrote_runs_nothing(enter: Open) -> None:
    watched = enter()
    for path in ("/devices/buoy-07", "/history", "/releases", "/audit"):
        page = watched.go(path)
        expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
    assert watched.trouble == []
    with watched.page.expect_console_message(lambda m: "Blocked script execution" in m.text):
        page = watched.go("/releases/digits/1")
    frame = page.frame_locator("iframe.report")
    expect(frame.locator("#mark")).to_be_attached()
    assert page.title() == "digits r1 · littoral"
    alone = watched.go("/releases/digits/1/report")
    assert alone.title() == "Report"
    assert not [found for found in watched.trouble if "dialog" in found]


def test_one_can_do_without_a_mouse(enter: Open) -> None:
    page = enter().go("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    first = page.locator("main a[href]").first
    expect(first).to_be_focused()
    assert first.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_pictures_are_kept_where_one_asks_for_them(enter: Open) -> None:
    folder = os.environ.get("LITTORAL_PICTURES")
    if folder is None:
        pytest.skip("LITTORAL_PICTURES is not set")
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 400)):
        watched = enter(width=width, color_scheme=scheme)
        for name, path in {**PAGES, "login": "/login"}.items():
            if name == "login":
                watched.page.context.clear_cookies()
            page = watched.go(path)
            if page.locator("[data-chart]").count():
                page.locator("canvas").last.wait_for()
            page.wait_for_timeout(300)
            whole = name in {"device", "drift", "telemetry", "release"} or width < 1280
            page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=whole)
