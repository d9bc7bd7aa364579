"""A board that enrols by itself, by what its image brought along: the agent as a process."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from littoral import door
from littoral.errors import MisuseError, SettingsError, WaitingError
from littoral.tree import Tree
from littoral.trust.certificates import requested
from littoral.trust.identity import fingerprint, key_digest
from littoral_agent import credential, hardware
from littoral_agent.enroll import enroll
from littoral_agent.enrolling import RARELY_S, WAITING_MOST_S, Enrolling, Pauses
from littoral_agent.identity import Identity
from littoral_agent.join import Outcome
from littoral_agent.settings import Settings
from littoral_agent.state import Live, live
from patience import patient
from simulators.fleet import Fleet

SETTINGS = Settings(retry_first_s=1.0, retry_most_s=8.0)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / "credentials").mkdir()
    with Fleet(tmp_path) as fleet:
        for release in (1, 2):
            fleet.repo.publish(fleet.repo.bundle("digits", release))
        yield fleet


@pytest.fixture
def give(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "credentials" / credential.NAME
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def told(fleet: Fleet) -> Live:
    found = live(fleet.tree)
    assert found is not None
    return found


def toml(fleet: Fleet, token: str, name: str = "pi-7") -> str:
    return f'url = "{fleet.console.url}"\ntoken = "{token}"\nname = "{name}"\n'


def test_pauses_grow_while_it_may_pass_and_are_long_where_it_will_not() -> None:
    pauses = Pauses(SETTINGS)
    found = [pauses.after(Outcome(code="unreachable")) for _ in range(6)]
    assert found[0] <= 1.0
    assert 4.0 <= found[-1] <= 8.0
    for code in ("denied", "untrusted", "malformed", "setting", "usage", "hash"):
        assert RARELY_S / 2 <= pauses.after(Outcome(code=code)) <= RARELY_S
    waits = [pauses.after(Outcome(code="waiting", retry_s=5.0)) for _ in range(10)]
    assert 2.5 <= waits[0] <= 5.0
    assert WAITING_MOST_S / 2 <= waits[-1] <= WAITING_MOST_S
    assert pauses.after(Outcome(code="unreachable")) <= 1.0, "a console that answered was there"


def test_what_it_says_again_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = iter(
        [
            Outcome(code="unreachable", words="nobody there"),
            Outcome(code="unreachable", words="nobody there"),
            Outcome(code="waiting", words="claim 3", retry_s=0.1),
            Outcome(code="waiting", words="claim 3", retry_s=0.1),
            Outcome(words="pi-7"),
        ]
    )
    quick = replace(SETTINGS, retry_first_s=0.01, retry_most_s=0.01)
    enrolling = Enrolling(
        Tree(tmp_path), quick, tmp_path / "file", attempt=lambda _tree, _file: next(said)
    )
    with caplog.at_level("INFO"):
        enrolling.start()
        enrolling._thread.join(10)
    assert [one.message for one in caplog.records[1:]] == [
        "nobody there [unreachable]",
        "claim 3 [waiting]",
        "enrolled as pi-7",
    ]


def test_a_console_that_is_not_there_yet_holds_up_nothing(
    fleet: Fleet, give: Callable[[str], Path]
) -> None:
    token = fleet.console.token("pi-7")
    give(toml(fleet, token))
    fleet.console.stop()
    with fleet.agent() as agent:
        fleet.wait(lambda: live(fleet.tree) is not None and told(fleet).code == "unreachable")
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert token.encode() not in line.read_bytes(), line
            except (FileNotFoundError, ProcessLookupError):
                continue
        fleet.console.start()
        fleet.wait(lambda: told(fleet).up)
        assert told(fleet).code is None
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.good("digits") == 1)
        assert agent.stop() == 0
    with fleet.agent():
        fleet.wait(lambda: live(fleet.tree) is not None and told(fleet).up)
    assert len(fleet.console.requests) == 1, "who is enrolled asks no more"
    assert token not in fleet.log.read_text()


def test_an_operator_finds_the_fingerprint_on_the_board(
    fleet: Fleet, give: Callable[[str], Path]
) -> None:
    give(toml(fleet, fleet.console.token("pi-7", approve=True)))
    with fleet.agent():
        fleet.wait(lambda: live(fleet.tree) is not None and told(fleet).code == "waiting")
        key = fingerprint(key_digest(requested(fleet.console.requests[0].csr)))
        assert f"claim 3, key {key}" in told(fleet).words
        fleet.console.approve()
        fleet.wait(lambda: told(fleet).up)
    assert told_once(fleet, "[waiting]")


def told_once(fleet: Fleet, words: str) -> bool:
    return fleet.log.read_text().count(words) == 1


def test_a_token_that_was_used_is_said_once_and_a_person_heals_it(
    fleet: Fleet, give: Callable[[str], Path]
) -> None:
    token = fleet.console.token("pi-6")
    fleet.console.tokens = dict.fromkeys(fleet.console.tokens)
    give(toml(fleet, token, name="pi-6"))
    with fleet.agent():
        fleet.wait(lambda: live(fleet.tree) is not None and told(fleet).code == "denied")
        assert "the token was used" in told(fleet).words
        fleet.enrol()
        fleet.wait(lambda: told(fleet).up)
        assert told(fleet).code is None
    assert told_once(fleet, "[denied]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("token = 7\nurl = 'x'", "'token' should be str"),
        ("url = 'https://x'", "'token' is missing"),
        ("url = 'https://x'\ntoken = 't'\nnmae = 'x'", "did you mean 'name'"),
        ("url = 'https://x'\ntoken = 't'\nname = '../x'", "name"),
        ("{", "littoral.enrolment"),
        ("#" * 20_000, "at most 16384 bytes"),
    ],
)
def test_a_credential_is_read_strictly(
    tmp_path: Path, give: Callable[[str], Path], text: str, words: str
) -> None:
    (tmp_path / "credentials").mkdir()
    with pytest.raises(SettingsError, match=words):
        credential.read(give(text))


def test_a_credential_that_cannot_be_read_ends_no_agent(
    fleet: Fleet, give: Callable[[str], Path]
) -> None:
    give("url = 1")
    with fleet.agent() as agent:
        fleet.wait(lambda: live(fleet.tree) is not None and told(fleet).code == "setting")
        assert agent.stop() == 0
    assert told_once(fleet, "[setting]")


def test_readiness_and_watchdog_wait_for_no_console(
    fleet: Fleet, give: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes the connection and says nothing: systemd hears of the agent all the same."""
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        give(f'url = "{url}"\ntoken = "{fleet.console.token("x")}"\n')
        with fleet.agent():
            assert systemd.recv(100) == b"READY=1"
            link, _ = mute.accept()
            with link:
                assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_an_attempt_ends_with_the_agent(fleet: Fleet, give: Callable[[str], Path]) -> None:
    """A console that takes the connection and says nothing holds up no stop."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        give(f'url = "{url}"\ntoken = "{fleet.console.token("x")}"\n')
        with fleet.agent() as agent:
            link, _ = mute.accept()
            with link:
                begun = time.monotonic()
                assert agent.stop() == 0
                assert time.monotonic() - begun < patient(5)
                link.settimeout(10)
                while link.recv(65536):
                    pass  # what ended closes its connections


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word that a parent is gone")
def test_a_killed_agent_leaves_no_attempt_that_holds_the_lock(
    fleet: Fleet, give: Callable[[str], Path]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        give(f'url = "{url}"\ntoken = "{fleet.console.token("x")}"\n')
        with fleet.agent() as agent:
            link, _ = mute.accept()
            with link:
                agent.kill()
                link.settimeout(10)
                while link.recv(65536):
                    pass  # what ended closes its connections
    fleet.enrol()  # at once: nobody holds the lock


def test_a_card_in_another_board_speaks_as_nobody_and_serves_on(fleet: Fleet) -> None:
    fleet.enrol()
    with fleet.agent():
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.good("digits") == 1)
        fleet.wait(lambda: ("healthy", None) in fleet.events("digits"))
    who = Identity(fleet.tree.identity)
    enrolled = who.read()
    assert enrolled is not None
    assert enrolled.serial == hardware.serial()
    who.write(replace(enrolled, serial="10000000abcdef01"))
    assert fleet.broker is not None
    fleet.broker.statuses.clear()
    fleet.serve.stop()
    fleet.serve.start()
    key = who.key.read_bytes()
    with fleet.agent():
        fleet.wait(lambda: live(fleet.tree) is not None and told(fleet).code == "wrong-board")
        assert "'pi-7' is the board 10000000abcdef01" in told(fleet).words
        fleet.wait(lambda: fleet.serve.running == {"digits": 1})
        assert (told(fleet).channel, fleet.broker.statuses) == (None, {})
        fleet.enrol("pi-8")
        fleet.wait(lambda: told(fleet).up)
        assert told(fleet).code is None
        fleet.wait(lambda: any(key.device == "pi-8" for key in fleet.taken))
    assert who.key.read_bytes() != key, "the other board has that one"
    assert {one.device for one in fleet.broker.statuses.values()} == {"pi-8"}
    assert told_once(fleet, "[wrong-board]")


def test_a_person_may_name_the_file_too(
    fleet: Fleet, give: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["enroll", "--data", str(fleet.tree.root), "--json"]
    file = str(give(toml(fleet, fleet.console.token("pi-7"))))
    assert door.main([*words, "--credential", file, "--token", "x"]) == MisuseError.exit_code
    assert "or --credential alone" in capsys.readouterr().err
    assert door.main([*words, "--credential", file]) == 0
    assert '"device":"pi-7"' in capsys.readouterr().out
    waits, named = fleet.console.token("pi-7", approve=True), ("--name", "pi-7")
    assert door.main([*words, fleet.console.url, *named, "--token", waits, "--wait", "0.3"]) == 1
    said = capsys.readouterr().err
    assert said.count("An operator has to approve 'pi-7', claim 3.") == 1
    assert said.rstrip().endswith(f"[{WaitingError.code}]")


def test_ctrl_c_is_safe(fleet: Fleet) -> None:
    token = fleet.console.token("pi-7", approve=True)
    command = [sys.executable, "-m", "littoral", "enroll", fleet.console.url, "--token", token]
    command += ["--data", str(fleet.tree.root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "has to approve" in process.stderr.readline()
        fleet.wait(lambda: len(fleet.console.requests) > 2)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "the same command goes on later" in rest
    fleet.console.approve()
    assert enroll(fleet.console.url, token, fleet.tree).device == "pi-7"
    assert len({key_digest(requested(one.csr)) for one in fleet.console.requests}) == 1
    assert not Identity(fleet.tree.identity).enrolling.folder.exists()
