"""The agent and the console, both real: what the one decides, the other does and tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from littoral.errors import DeniedError
from littoral.tree import Tree
from littoral_agent import identity
from littoral_agent.enroll import enroll
from littoral_agent.state import live
from simulators.broker import free_port
from simulators.console import ConsoleProcess, littoral, needs_broker, until
from simulators.fleet import SETTINGS, AgentProcess
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator


class Coast:
    def __init__(self, folder: Path, console: ConsoleProcess, repo: RepositorySimulator) -> None:
        self.console, self.repo = console, repo
        self.tree = Tree(folder / "device")
        self.tree.make()
        self.tree.settings.write_text(SETTINGS)
        self.serve = ServeSimulator(self.tree)
        self.log = folder / "agent.log"

    @contextmanager
    def agent(self) -> Iterator[AgentProcess]:
        process = AgentProcess(self.tree, self.log)
        try:
            yield process
        finally:
            process.kill()

    def device(self) -> dict[str, Any]:
        return self.console.device("pi-7")

    def runs(self, release: int) -> bool:
        models = self.device()["device"]["models"]
        return any(m["model"] == "digits" and m["release"] == release for m in models)

    def complete(self) -> bool:
        """Whether the console has every message, and knows of none that is lost."""
        streams = self.device()["streams"]
        assert all(one["lost"] == 0 for one in streams)
        return all(one["acked"] == one["highest"] for one in streams)

    def until(self, found: Any, what: str, *, limit_s: float = 30) -> None:
        try:
            until(found, what, limit_s=limit_s)
        except AssertionError as e:
            e.add_note(self.log.read_text()[-6000:])
            e.add_note((self.console.base / "console.log").read_text()[-3000:])
            raise


@pytest.fixture(params=["auto", "none"])
def coast(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Coast]:
    with RepositorySimulator(tmp_path) as repo:
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        with ConsoleProcess(tmp_path, repo, arguments=("--broker", request.param)) as console:
            console.upload()
            coast = Coast(tmp_path, console, repo)
            with coast.serve:
                enroll(console.ready["devices"], console.token(), coast.tree, name="pi-7")
                yield coast


@needs_broker
@pytest.mark.slow
def test_a_push_becomes_what_the_device_runs_and_the_console_shows(coast: Coast) -> None:
    with coast.agent():
        coast.console.push("digits:1")
        coast.until(lambda: coast.runs(1), "release 1 runs")
        coast.console.kill()
        coast.console.start()
        coast.console.push("digits:2")
        coast.until(lambda: coast.runs(2), "release 2 runs")
        assert coast.serve.running == {"digits": 2}
    with coast.agent() as agent:
        agent.kill()
    with coast.agent():
        coast.console.push("digits:1")
        coast.until(lambda: coast.runs(1), "release 1 runs again")
        coast.until(coast.complete, "all reports")


@needs_broker
@pytest.mark.slow
@pytest.mark.parametrize("coast", ["auto"], indirect=True)
def test_a_device_that_gets_no_releases_is_an_alarm_until_it_does(coast: Coast) -> None:
    """The console hears it well; the copy of the repository that it is sent to does not answer."""
    settings = coast.tree.settings.read_text()
    coast.tree.settings.write_text(f'{settings}sources = ["https://127.0.0.1:{free_port()}/r"]\n')
    with coast.agent():
        coast.console.push("digits:1")
        # After LONG_S of it, which it counts from its first try.
        coast.until(lambda: coast.device()["device"]["unreached"], "its word for it", limit_s=90)
    device = coast.device()["device"]
    assert device["unreached"]["code"] == "unreachable"
    assert device["unreached"]["since_ms"] > 0
    coast.tree.settings.write_text(settings)
    with coast.agent():
        coast.until(lambda: coast.runs(1), "release 1 runs")
        coast.until(lambda: coast.device()["device"]["unreached"] is None, "it is taken back")
    history = coast.console.rest.get("history", device="pi-7")
    (fetched,) = [one for one in history if one["event"] == "fetched"]
    assert fetched["detail"].startswith("from https://"), "it says who gave the files"


@needs_broker
@pytest.mark.slow
def test_how_the_board_is_comes_from_the_kernel_to_whoever_asks(coast: Coast) -> None:
    """This machine's own figures, by the broker and over HTTPS, without a single request."""
    with coast.agent():
        coast.until(lambda: coast.device()["board"], "a window of the board")
        coast.until(lambda: (here := live(coast.tree)) and here.board, "its own words of it")
        found, here = coast.device(), live(coast.tree)
    board, window = found["device"]["board"], found["board"]["window"]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (board["boot"], window["samples"]) == (boot, 1)
    assert 0 < window["memory_free_mib"]["mean"] < board["memory_mib"]
    assert window["disk_free_mib"] > 0
    assert here is not None
    assert here.board is not None
    assert here.board.boot == boot


@needs_broker
@pytest.mark.slow
def test_a_board_that_enrols_by_itself_waits_comes_back_and_keeps_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a card's credential, with an operator's word; then revoked, and enrolled anew by hand."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with (
        RepositorySimulator(tmp_path) as repo,
        ConsoleProcess(tmp_path, repo) as console,
    ):
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        console.upload()
        coast = Coast(tmp_path, console, repo)

        def proven(release: int) -> bool:
            history = console.rest.get("history", device="pi-7")
            return ("healthy", release) in {(one["event"], one["release"]) for one in history}

        issued = console.rest.post("enrolment-tokens", {"device": "pi-7", "approve": True})
        (tmp_path / "littoral.enrolment").write_text(issued["credential"])
        with coast.serve, coast.agent():
            coast.until(lambda: console.rest.get("claims"), "a claim")
            console.kill()
            console.start()
            (claim,) = console.rest.get("claims")

            def waits() -> bool:
                told = live(coast.tree)  # "unreachable" for as long as no console was there
                return told is not None and told.code == "waiting" and fingerprint in told.words

            fingerprint = claim["fingerprint"]
            coast.until(waits, "the board says that it waits")
            console.rest.post(f"claims/{claim['id']}/approve")
            coast.until(lambda: console.rest.get("devices", to="pi-7"), "the device")
            console.push("digits:1")
            coast.until(lambda: proven(1), "release 1 is proven")
            root = (coast.tree.metadata / "root.json").read_bytes()
            console.rest.post("devices/pi-7/revoke")
            enroll(console.ready["devices"], console.token(device="pi-7"), coast.tree, wait_s=0)
            coast.until(lambda: coast.device()["device"]["online"], "it is heard again")
            console.push("digits:2")
            coast.until(lambda: proven(2), "release 2 is proven")
        assert [one["incarnation"] for one in coast.device()["incarnations"]] == [2, 1]
        assert proven(1), "its history stays"
        assert (coast.tree.metadata / "root.json").read_bytes() == root
        said = coast.log.read_text().count("[waiting]")
        assert said in {1, 2}, "and anew at most after it met no console; never at each poll"


def test_who_was_killed_before_anybody_was_told_is_told_by_the_same_command(
    tmp_path: Path,
) -> None:
    """Its key is in place and the token is used: the same call says who it is, no other one."""
    repo, tree = RepositorySimulator(tmp_path), Tree(tmp_path / "board")
    repo.publish(repo.bundle("digits", 1))
    with ConsoleProcess(tmp_path, repo, arguments=("--broker", "none")) as console:
        console.upload()
        url, token = console.ready["devices"], console.token()
        found = enroll(url, token, tree, name="pi-7")
        key = identity.of(tree).key.read_bytes()
        assert enroll(url, token, tree, name="pi-7") == found
        assert identity.of(tree).key.read_bytes() == key
        with pytest.raises(DeniedError, match="used already"):
            enroll(url, token, Tree(tmp_path / "other"), name="pi-7")
        console.rest.post("devices/pi-7/revoke")
        with pytest.raises(DeniedError, match="used already"):
            enroll(url, token, tree, name="pi-7")


@needs_broker
@pytest.mark.slow
def test_what_waits_for_its_window_is_pending_in_the_console_and_no_byte_comes(
    coast: Coast,
) -> None:
    opens = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    window = f"mon-sun {opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    coast.tree.settings.write_text(f'{SETTINGS}\nwindows = ["{window}"]\nzone = "UTC"\n')
    number = coast.console.push("digits:1")
    with coast.agent():
        coast.until(lambda: coast.console.outcome(number, "pi-7")["waits"], "it waits")
        found = coast.console.outcome(number, "pi-7")
        assert (found["outcome"], found["waits"]) == ("pending", "window")
        assert abs(found["until_ms"] - opens.timestamp() * 1000) < 5_000

        def waits() -> bool:
            models = coast.device()["device"]["models"]
            return [(m["waits"], m["waits_until_ms"]) for m in models] == [
                ("window", int(opens.timestamp() * 1000))
            ]

        coast.until(waits, "its status says so")
        assert not list(coast.tree.parts.iterdir())
    coast.tree.settings.write_text(SETTINGS)
    with coast.agent():
        coast.until(lambda: coast.runs(1), "release 1 runs")
        coast.until(lambda: coast.console.outcome(number, "pi-7")["outcome"] == "healthy", "proven")


@needs_broker
@pytest.mark.slow
def test_what_is_measured_on_a_device_comes_to_the_console(coast: Coast) -> None:
    model = Path(__file__).parents[1] / "fixtures/tiny_int8.tflite"
    words = ("bench", str(model), "--duration", "0.1", "--no-operators", "--publish")
    data = ("--data", str(coast.tree.root))
    missed = littoral(*words, *data)
    assert missed.returncode == 1
    assert "where an agent runs" in missed.stderr
    with coast.agent():
        coast.until(coast.tree.desk.exists, "a desk")
        done = littoral(*words, *data)
        assert done.returncode == 0, done.stderr
        coast.until(lambda: benches(coast), "what was measured, in the console")
        coast.until(coast.complete, "every message")
    (found,) = benches(coast)
    assert "tiny_int8.tflite on " in found["detail"]
    assert found["figures"]["p50_us"] > 0


def benches(coast: Coast) -> list[Any]:
    found = coast.console.rest.get("history", device="pi-7")
    return [one for one in found if one["kind"] == "bench"]
