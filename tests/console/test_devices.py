"""The devices' listener, asked by real TLS clients."""

import json
import threading
import time
from hashlib import sha256

import pytest
import urllib3

from littoral import records
from littoral.errors import DeniedError
from littoral.trust.director import accept_director
from littoral.trust.keys import DEVICE_KEY, check_time, sign_session
from littoral.wire.enrolment import SessionRequest, SignedTime, Token
from littoral.wire.messages import Running
from patience import patient
from simulators.console import ConsoleProcess, DeviceSimulator, EnrolmentRefusedError, until


def test_a_token_carries_whom_to_believe(console: ConsoleProcess) -> None:
    token = Token.decode(console.token())
    assert token.fleet == "shore"
    assert token.root_sha256 == sha256(console.publisher.root).hexdigest()
    with urllib3.PoolManager(cert_reqs="CERT_NONE", assert_hostname=False) as pool:
        pool.connection_pool_kw["assert_fingerprint"] = None
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            reply = pool.request("GET", console.ready["devices"] + "/enroll/ca")
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    found = x509.load_pem_x509_certificate(reply.data).public_bytes(Encoding.DER)
    assert sha256(found).hexdigest() == token.console_ca_sha256


def test_a_token_works_once(console: ConsoleProcess) -> None:
    word = console.token()
    DeviceSimulator(console, "once-1", token=word)
    with pytest.raises(EnrolmentRefusedError, match="used already"):
        DeviceSimulator(console, "once-2", token=word)


def test_a_board_whose_answer_was_lost_asks_again_and_gets_the_same(
    console: ConsoleProcess,
) -> None:
    word = console.token()
    first = DeviceSimulator(console, "lossy", token=word)
    again = DeviceSimulator(console, "lossy", token=word)
    assert again.enrolled == first.enrolled
    assert again.post(status=again.status()) == {}
    (again.folder / DEVICE_KEY).unlink()  # another key is another board
    with pytest.raises(EnrolmentRefusedError, match="used already"):
        DeviceSimulator(console, "lossy", token=word)
    with pytest.raises(EnrolmentRefusedError, match="used already"):
        DeviceSimulator(console, "lossy", token=word, serial="another")


def test_a_token_for_a_name_or_a_board_is_for_no_other(console: ConsoleProcess) -> None:
    word = console.token(device="named", serial="board 7")
    with pytest.raises(EnrolmentRefusedError, match="for the device 'named'"):
        DeviceSimulator(console, "other", token=word)
    with pytest.raises(EnrolmentRefusedError, match="another board"):
        DeviceSimulator(console, "named", token=word, serial="board 8")
    assert (
        DeviceSimulator(console, "named", token=word, serial="board 7").enrolled.device == "named"
    )


def test_a_token_ends(console: ConsoleProcess) -> None:
    word = console.token(lives_s=1)
    time.sleep(1.1)
    with pytest.raises(EnrolmentRefusedError, match="time is over"):
        DeviceSimulator(console, "late", token=word)


def test_a_board_comes_back_as_another_incarnation_and_keeps_its_name(
    console: ConsoleProcess,
) -> None:
    first = DeviceSimulator(console, "again")
    second = DeviceSimulator(console, "again")
    assert (first.enrolled.incarnation, second.enrolled.incarnation) == (1, 2)
    with pytest.raises(EnrolmentRefusedError, match="held by another board"):
        DeviceSimulator(console, "again", serial="a thief's")
    with pytest.raises(EnrolmentRefusedError, match="keeps that name"):
        DeviceSimulator(console, "again-2", serial=first.serial)
    status, _ = first.ask("POST", "/device/session", body=_session(first))
    assert status == 403  # the earlier incarnation's certificate is worth nothing now


def test_a_name_that_nobody_chose_gives_way_to_the_tokens(console: ConsoleProcess) -> None:
    word = console.token(device="pier-7")
    found = DeviceSimulator(console, "raspberrypi", token=word, named=False)
    assert found.enrolled.device == "pier-7"
    again = DeviceSimulator(console, "raspberrypi", token=word, named=False, serial=found.serial)
    assert again.enrolled == found.enrolled
    chosen = DeviceSimulator(console, "free-choice", named=False)
    assert chosen.enrolled.device == "free-choice"
    back = DeviceSimulator(console, "raspberrypi", named=False, serial=chosen.serial)
    assert (back.enrolled.device, back.enrolled.incarnation) == ("free-choice", 2)


def test_a_replaced_board_takes_the_name_by_a_token_for_both(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "moved", serial="broken board")
    for words in ({"device": "moved"}, {"serial": "new board"}):
        with pytest.raises(EnrolmentRefusedError, match="held by another board"):
            DeviceSimulator(console, "moved", serial="new board", token=console.token(**words))
    word = console.token(device="moved", serial="new board")
    assert (
        DeviceSimulator(console, "moved", serial="new board", token=word).enrolled.incarnation == 2
    )
    found = console.device("moved")
    assert found["device"]["serial"] == "new board"
    assert [one["incarnation"] for one in found["incarnations"]] == [2, 1]
    assert DeviceSimulator(console, "repaired", serial="broken board").enrolled.incarnation == 1


def _session(device: DeviceSimulator, *, certificate: str | None = None) -> bytes:
    nonce = json.loads(device.ask("GET", "/device/nonce")[1])["nonce"]
    return records.to_json(
        SessionRequest(
            nonce=nonce,
            certificate=certificate or device.enrolled.certificate,
            signature=sign_session(device.folder / DEVICE_KEY, nonce),
        )
    )


def test_a_nonce_opens_one_session(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "replay")
    body = _session(device)
    assert device.ask("POST", "/device/session", body=body)[0] == 200
    status, said = device.ask("POST", "/device/session", body=body)
    assert (status, json.loads(said)["code"]) == (422, "signature")


def test_another_devices_key_opens_no_session(console: ConsoleProcess) -> None:
    thief, victim = DeviceSimulator(console, "thief"), DeviceSimulator(console, "victim")
    stolen = _session(thief, certificate=victim.enrolled.certificate)
    assert thief.ask("POST", "/device/session", body=stolen)[0] == 422


def test_what_needs_a_bearer_refuses_who_has_none(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "bare")
    for method, path in (("GET", "/device/desired"), ("POST", "/device/messages")):
        assert device.ask(method, path)[0] == 401
        assert device.ask(method, path, bearer="guess")[0] == 401


def test_a_device_speaks_for_itself_alone(console: ConsoleProcess) -> None:
    one, other = DeviceSimulator(console, "self-1"), DeviceSimulator(console, "self-2")
    assert one.post(other.report("healthy"), status=other.status()) == {}
    assert console.device("self-2")["device"]["online"] is False


def test_time_is_signed_for_the_nonce_that_was_asked(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "clock")
    nonce = "00ff" * 8
    _, body = device.ask("GET", f"/time?nonce={nonce}")
    answer = records.from_json(SignedTime, body, limit=4096)
    found = check_time(answer, nonce, keys=console.publisher.anchors.time)
    assert abs(found.timestamp() - time.time()) < 5
    assert device.ask("GET", "/time?nonce=../x")[0] == 422


def test_the_repository_is_served_with_ranges_and_nothing_beside_it(
    console: ConsoleProcess,
) -> None:
    device = DeviceSimulator(console, "reader")
    blob = next((console.data / "repo" / "blobs").iterdir())
    status, body = device.ask("GET", f"/repo/blobs/{blob.name}", headers={"Range": "bytes=3-"})
    assert (status, body) == (206, blob.read_bytes()[3:])
    status, body = device.ask("GET", "/repo/metadata/root.json")
    assert (status, body) == (200, console.publisher.root)
    link = console.data / "repo" / "blobs" / ("0" * 64)
    link.symlink_to(console.data / "keys" / "time.pem")
    for name in (
        f"blobs/{'0' * 64}",
        "../keys/time.pem",
        "%2e%2e/keys/time.pem",
        "metadata/../../littoral.db",
        "metadata",
        "",
    ):
        assert device.ask("GET", f"/repo/{name}")[0] == 404, name
    link.unlink()


def test_a_device_polls_for_what_it_shall_run(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "poller")
    assert device.desired() is None
    console.push("digits:1", to="poller")
    signed = device.desired()
    assert signed is not None
    assert signed["x-littoral"] == {"fleet": "shore", "device": "poller", "incarnation": 1}
    assert device.desired(after=signed["version"]) is None
    _, body = device.ask("GET", "/device/desired", bearer=device.bearer)
    from datetime import UTC, datetime

    wanted = accept_director(
        body,
        anchors=console.publisher.anchors,
        device="poller",
        incarnation=1,
        accepted=0,
        now=datetime.now(UTC),
    )
    assert [(a.model, a.release, a.hardware) for a in wanted.assignments] == [
        ("digits", 1, "cpu-x86_64")
    ]


def test_a_poll_that_waits_is_answered_as_soon_as_there_is_something(
    console: ConsoleProcess,
) -> None:
    import threading

    device = DeviceSimulator(console, "waiter")
    assert device.bearer
    threading.Timer(0.5, console.push, ("digits:1",), {"to": "waiter"}).start()
    began = time.monotonic()
    assert device.desired(wait_s=15) is not None
    assert 0.3 < time.monotonic() - began < patient(5)


def test_who_believes_more_than_was_issued_gets_something_greater(
    console: ConsoleProcess,
) -> None:
    device = DeviceSimulator(console, "ahead")
    console.push("digits:1", to="ahead")
    ahead = int(time.time() * 1000) + 10**9
    signed = device.desired(after=ahead)
    assert signed is not None
    assert signed["version"] == ahead + 1
    device.post(status=device.status(director=ahead + 100))
    again = device.desired(after=ahead + 100)
    assert again is not None
    assert again["version"] == ahead + 101


def test_a_revoked_device_is_shut_out_at_once(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "gone")
    device.post(status=device.status())
    console.rest.post("devices/gone/revoke")
    assert device.ask("GET", "/device/desired", bearer=device.bearer)[0] == 403
    assert device.ask("POST", "/device/session", body=_session(device))[0] == 403
    with pytest.raises(EnrolmentRefusedError, match="revoked"):
        DeviceSimulator(console, "gone")
    back = DeviceSimulator(console, "gone", token=console.token(device="gone"))
    assert back.enrolled.incarnation == 2
    assert back.post(status=back.status()) == {}
    assert console.device("gone")["device"]["online"] is True


def test_who_guesses_is_slowed_down(fresh: ConsoleProcess) -> None:
    word = fresh.token()
    forged = Token.decode(word)
    for n in range(10):
        guess = Token(
            secret=f"guess {n}",
            fleet=forged.fleet,
            root_sha256=forged.root_sha256,
            console_ca_sha256=forged.console_ca_sha256,
        )
        with pytest.raises(EnrolmentRefusedError, match="no such token"):
            DeviceSimulator(fresh, "guesser", token=guess.encode())
    with pytest.raises(EnrolmentRefusedError, match="too many failures"):
        DeviceSimulator(fresh, "guesser", token=word)


def test_what_runs_is_what_the_device_says(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "truth")
    console.push("digits:1", to="truth")
    found = console.device("truth")["device"]
    assert (found["models"], found["wanted"][0]["outcome"]) == ([], "pending")
    runs = Running(model="digits", state="idle", release=1, good=1, variant="int8")
    device.post(status=device.status(runs))
    found = console.device("truth")["device"]
    assert found["models"][0]["release"] == 1
    assert found["wanted"][0]["outcome"] == "healthy"


def test_enrolling_needs_a_repository_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    from simulators.repository import RepositorySimulator

    base = tmp_path_factory.mktemp("empty")
    with ConsoleProcess(base, RepositorySimulator(base), arguments=("--broker", "none")) as empty:
        with pytest.raises(Exception, match="releases upload"):
            empty.token()
        assert empty.ready["broker"] is None
    assert DeniedError.code == "denied"


def test_who_waits_while_the_console_stops_is_told_to_ask_again(fresh: ConsoleProcess) -> None:
    device = DeviceSimulator(fresh, "patient")
    found: list[tuple[int, bytes]] = []
    bearer = device.bearer

    def wait() -> None:
        found.append(device.ask("GET", "/device/desired?wait_s=20", bearer=bearer))

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: fresh.device("patient")["device"]["online"], "the request")
    begun = time.monotonic()
    assert fresh.stop() == 0
    waiting.join()
    assert time.monotonic() - begun < patient(2.0)
    ((status, body),) = found
    assert (status, json.loads(body)["code"]) == (503, "unreachable")
