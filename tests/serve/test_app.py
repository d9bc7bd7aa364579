"""Serve as a process: what it loads, how it starts, stops and comes back."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from littoral import records
from littoral.errors import MisuseError
from littoral.wire import journal
from littoral.wire.control import Serving
from littoral.wire.journal import Journal, State
from littoral_serve import app, readiness, settings
from littoral_serve.listening import Listening
from littoral_serve.settings import Settings
from patience import patient
from simulators.served import (
    FIXTURES,
    LONG,
    Device,
    Serve,
    alive,
    ask,
    children,
    computed_s,
    model,
    serving,
    wait_until,
)

FILE = f"tiny={FIXTURES}/tiny_int8.tflite"
TINY = f"--model={FILE}"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


def run(*words: str, module: str = "littoral_serve") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
        env={name: value for name, value in os.environ.items() if name != "LITTORAL_DATA"},
    )


def running(device: Device) -> dict[str, int]:
    _, reply = ask(device.tree.control, "GET", "/control/state")
    return {one.model: one.release for one in records.fill(Serving, reply).models}


def test_it_starts_with_what_the_journals_call_good(device: Device) -> None:
    device.good(device.add("digits", release=3))
    device.good(device.add("words", release=9))
    with serving(f"--data={device.tree.root}") as serve:
        assert serve.ready["models"] == {"digits": 3, "words": 9}
        assert running(device) == {"digits": 3, "words": 9}
        assert requests.get(f"{serve.url}/v1/models/words", timeout=20).status_code == 200


def test_it_never_starts_with_a_candidate(device: Device) -> None:
    good = device.add("digits", release=1)
    candidate = device.add("digits", release=2, data=model("tiny_int8_b"))
    watched = Journal(
        model="digits", state=State.PROBATION, good=good.choice, candidate=candidate.choice
    )
    journal.write(device.tree.journal("digits"), watched)
    fresh = Journal(model="fresh", state=State.PROBATION, candidate=device.add("fresh").choice)
    journal.write(device.tree.journal("fresh"), fresh)
    with serving(f"--data={device.tree.root}") as serve:
        assert serve.ready["models"] == {"digits": 1}


def test_what_cannot_be_loaded_is_told_and_the_others_are_served(device: Device) -> None:
    device.good(device.add("digits"))
    device.good(device.add("damaged", data=model("tiny_int8_b")))
    blob = device.tree.blob(
        device.add("damaged", data=model("tiny_int8_b")).manifest.files["model.tflite"].sha256
    )
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    device.tree.journal("cut").write_text('{"format": 1, "mod')
    gone = device.add("gone")
    device.good(gone)
    device.tree.manifest(gone.sha256).unlink()
    serve = Serve("--http", "127.0.0.1:0", f"--data={device.tree.root}")
    assert serve.ready["models"] == {"digits": 1}
    told = [line for line in serve.stop().splitlines() if "is not served" in line]
    assert [line.split()[1] for line in told] == ["cut", "damaged", "gone"]
    assert told[0].startswith("ERROR: cut is not served: ")
    assert [line.rpartition("[")[2] for line in told] == ["journal]", "hash]", "storage]"]


def test_killed_it_serves_the_same_release_again_within_three_seconds(device: Device) -> None:
    device.good(device.add("digits", release=5))
    with serving(f"--data={device.tree.root}") as serve:
        host, port = serve.address
        instance = ask(device.tree.control, "GET", "/control/state")[1]["instance"]
        serve.kill()
        start = time.monotonic()
        with serving(f"--data={device.tree.root}", "--http", f"{host}:{port}") as again:
            response = requests.get(f"{again.url}/v1/models/digits", timeout=20)
            assert computed_s(again) < 3, "all of them, if nothing else is computed beside it"
            assert time.monotonic() - start < patient(12)
            assert response.json()["model_version_status"][0]["version"] == "5"
            assert ask(device.tree.control, "GET", "/control/state")[1]["instance"] != instance


def test_a_second_serve_on_the_same_folder_is_told_of_the_first(device: Device) -> None:
    with serving(f"--data={device.tree.root}"):
        done = run("--data", str(device.tree.root), "--http", "127.0.0.1:0")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: cannot listen on {device.tree.control}: another program does; "
            "stop it or choose another port [port-in-use]\n"
        )
        assert running(device) == {}


def test_a_port_in_use_is_one_line() -> None:
    with serving(TINY) as serve:
        done = run("--http", serve.ready["http"], "--model", FILE)
        assert done.returncode == 1
        assert done.stderr == (
            f"error: cannot listen on {serve.ready['http']}: another program does; "
            "stop it or choose another port [port-in-use]\n"
        )


@pytest.mark.parametrize("module", ["littoral_serve", "littoral serve"])
@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["--model", "tiny"], 2, "error: --model: expected NAME=PATH, found 'tiny' [usage]"),
        (["--model", "a.b=x"], 2, "error: --model: expected a name of 1 to 64 letters, digits, "),
        (["--model", "a=/none"], 1, "error: /none: No such file or directory [storage]"),
        (
            ["--model", FILE, "--model", FILE],
            2,
            "error: --model: expected each name once, found 'tiny' again [usage]",
        ),
        (["--model", f"a={__file__}"], 1, f"error: {__file__}: LiteRT refuses this model"),
        (["--data", "/tmp", "--http", "nonsense"], 2, "error: 'http': expected HOST:PORT"),
        (["--model", "a=b", "--http", "192.0.2.1:80"], 2, "error: cannot listen on 192.0.2.1:80"),
        (["--nonsense"], 2, "error: No such option"),
    ],
)
def test_a_mistake_is_one_line(module: str, words: list[str], status: int, line: str) -> None:
    head, *rest = module.split()
    if "--http" not in words:
        words = ["--http", "127.0.0.1:0", *words]
    done = run(*rest, *words, module=head)
    assert (done.returncode, done.stdout) == (status, "")
    (told,) = [found for found in done.stderr.splitlines() if not found.startswith("INFO")]
    assert line in told
    assert told.endswith("]")


def test_a_model_moves_from_tensorflow_serving_with_its_name(device: Device) -> None:
    name = "half_plus_Two"
    file = FILE.partition("=")[2]
    with serving(f"--model={name}={file}") as serve:
        assert serve.ready["models"] == {name: 1}
        zeros = {"instances": [[[[0.0]] * 8] * 8]}
        for path in (f"v1/models/{name}:predict", f"v1/models/{name}/versions/1:predict"):
            reply = requests.post(f"{serve.url}/{path}", json=zeros, timeout=20)
            assert len(reply.json()["predictions"][0]) == 10
        for path in (f"v1/models/{name}/metadata", f"v2/models/{name}", f"v2/models/{name}/ready"):
            assert requests.get(f"{serve.url}/{path}", timeout=20).status_code == 200
        assert f'model="{name}"' in requests.get(f"{serve.url}/metrics", timeout=20).text
        assert requests.get(f"{serve.url}/v1/models/half-plus-two", timeout=20).status_code == 404
    done = run(
        "--data", str(device.tree.root), "--http", "127.0.0.1:0", "--model", f"{name}={file}"
    )
    assert done.returncode == 2
    assert "as 'half-plus-two' is [usage]" in done.stderr


def test_with_nothing_to_serve_it_says_what_there_could_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path / "none")
    with pytest.raises(MisuseError, match="expected --data DIR, or --model NAME=PATH"):
        app.main(app.Options())


def test_a_wrong_setting_names_the_right_one(device: Device) -> None:
    (device.tree.root / "serve.toml").write_text("windows_s = 3\n")
    done = run("--data", str(device.tree.root))
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {device.tree.root}/serve.toml: no setting 'windows_s'; "
        "did you mean 'window_s'? [setting]\n"
    )


def test_a_truncated_journal_ends_nothing(device: Device) -> None:
    device.tree.journal("digits").write_text("{")
    with serving(f"--data={device.tree.root}") as serve:
        assert serve.ready["models"] == {}


def test_a_truncated_journal_does_not_take_the_proven_release_with_it(device: Device) -> None:
    device.good(device.add("digits", release=3))
    path = device.tree.journal("digits")
    journal.write_proven(path, journal.read(path))
    path.write_text("{")
    with serving(f"--data={device.tree.root}") as serve:
        assert serve.ready["models"] == {"digits": 3}


def test_what_is_no_socket_is_left_alone(device: Device) -> None:
    device.tree.control.write_text("mine")
    done = run("--data", str(device.tree.root), "--http", "127.0.0.1:0")
    assert done.returncode == 1
    assert "expected a socket, found another file [storage]" in done.stderr
    assert device.tree.control.read_text() == "mine"


def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    far = Device(tmp_path / ("x" * 100))
    done = run("--data", str(far.tree.root), "--http", "127.0.0.1:0")
    assert (done.returncode, "at most 107 bytes [storage]" in done.stderr) == (1, True)


def test_a_folder_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("--data", str(tmp_path / "file/data"), "--http", "127.0.0.1:0")
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {tmp_path}/file/data/run: Not a directory [storage]\n",
    )


def test_journals_that_cannot_be_read_are_told(device: Device) -> None:
    device.tree.journals.rmdir()
    device.tree.journals.write_text("")
    serve = Serve("--http", "127.0.0.1:0", f"--data={device.tree.root}")
    assert serve.ready["models"] == {}
    told = serve.stop()
    assert f"no installed model is served: {device.tree.journals}: Not a directory" in told


def test_too_few_descriptors_are_one_line() -> None:
    limited = ["sh", "-c", 'ulimit -n 5; exec "$0" "$@"', sys.executable, "-m", "littoral_serve"]
    words = [*limited, TINY, "--http=127.0.0.1:0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "error: Too many open files: 'ulimit -n' says how many this process may open [storage]\n"
    assert done.stderr.startswith(said)  # what follows is asyncio's, whose loop was half made


def test_all_is_loaded_before_anybody_is_answered(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks while serve starts waits: a model of this device would be unknown to them."""
    device.good(device.add("digits"))
    loaded: list[str] = []

    async def begin(here: Listening) -> None:
        loaded.extend(one.model for one in here._models)
        held = here._sockets
        for one in (*held.http, *held.serve, *held.control):
            one.close()
        raise TimeoutError

    monkeypatch.setattr(Listening, "begin", begin)
    options = app.Options(data=device.tree.root, models=(FILE,))
    with pytest.raises(TimeoutError):
        asyncio.run(app.App(options, Settings(http="127.0.0.1:0")).run())
    assert loaded == ["tiny", "digits"]


def test_files_and_a_folder_go_together(device: Device) -> None:
    device.good(device.add("digits", release=3))
    with serving(f"--data={device.tree.root}", TINY) as serve:
        assert serve.ready["models"] == {"tiny": 1, "digits": 3}


def test_the_one_command_serves_as_well() -> None:
    words = ["serve", "--json", "--http", "127.0.0.1:0", "--model", FILE]
    process = subprocess.Popen(
        [sys.executable, "-m", "littoral", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["models"] == {"tiny": 1}
    assert requests.get(f"http://{ready['http']}/v1/models/tiny", timeout=20).status_code == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    process.stdout.close()


def test_its_help_has_an_example() -> None:
    for done in (run("--help"), run("serve", "--help", module="littoral")):
        assert done.returncode == 0
        assert "Example: littoral serve --model digits=digits.tflite" in done.stdout


def test_systemd_is_told_ready_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with serving(TINY, environment=told) as serve:
            said = {listener.recv(100) for _ in range(6)}
            assert said == {b"READY=1", b"WATCHDOG=1"}
            serve.process.terminate()
            assert serve.process.wait(20) == 0
        with contextlib.suppress(TimeoutError):
            while (last := listener.recv(100)) != b"STOPPING=1":
                assert last == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("health/ready", {"live": True, "ready": False}),
        ("models/tiny/ready", {"name": "tiny", "ready": False}),
        ("models/tiny/versions/1/ready", {"name": "tiny", "ready": False}),
    ],
)
def test_who_asks_while_serve_ends_is_told_that_it_is_not_ready(
    tmp_path: Path, path: str, told: dict[str, Any]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with serving(TINY, environment=environment) as serve, requests.Session() as session:
            url = f"{serve.url}/v2/{path}"
            assert session.get(url, timeout=20).status_code == 200
            serve.process.terminate()
            while listener.recv(100) != b"STOPPING=1":
                pass
            reply = session.get(url, timeout=20)  # on the connection that it has
            assert (reply.status_code, reply.json()) == (503, told)
            assert serve.process.wait(20) == 0


LISTENING = """
import os, socket, sys
names = sys.argv[2].split(":")
for at, (name, where) in enumerate(zip(names, sys.argv[3:])):
    if where.isdigit():
        held = socket.socket(fileno=int(where))
    else:
        held = socket.socket(socket.AF_UNIX)
        held.bind(where); held.listen()
    os.dup2(held.detach(), 20 + at)
for at in range(len(names)):
    os.dup2(20 + at, 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)),
    LISTEN_FDNAMES=":".join(names))
os.execv(sys.executable, [sys.executable, "-m", "littoral_serve", "--json", "--data", sys.argv[1]])
"""


@contextlib.contextmanager
def handed(device: Device, names: str, *where: Path | socket.socket) -> Iterator[str]:
    """Serve with sockets from outside, as systemd names and passes them; give its address."""
    fds = [one.fileno() for one in where if isinstance(one, socket.socket)]
    words = [str(one if isinstance(one, Path) else one.fileno()) for one in where]
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, str(device.tree.root), names, *words],
        stdout=subprocess.PIPE,
        pass_fds=fds,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["http"]
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_sockets_may_be_handed_over(device: Device, tmp_path: Path) -> None:
    """Two units of systemd: what one listens on bears one name, whatever it is."""
    device.good(device.add("digits", release=3))
    orders, local = tmp_path / "orders.sock", tmp_path / "local.sock"
    first, second = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    with (
        first,
        second,
        handed(device, "control:clients:clients:clients", orders, local, first, second) as http,
    ):
        assert http == f"127.0.0.1:{first.getsockname()[1]}"
        for port in (first.getsockname()[1], second.getsockname()[1]):
            url = f"http://127.0.0.1:{port}/v1/models/digits"
            assert requests.get(url, timeout=20).status_code == 200
        assert ask(orders, "GET", "/control/state")[1]["http"] == http
        assert ask(local, "GET", "/v1/models/digits")[0] == 200
        assert not device.tree.control.exists()
        assert not device.tree.serve.exists()
    assert orders.is_socket(), "it was not serve's to remove"
    assert local.is_socket()


def test_who_connects_while_serve_restarts_is_answered(device: Device, tmp_path: Path) -> None:
    device.good(device.add("digits", release=3))
    request = b"GET /v1/models/digits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with handed(device, "control:clients", tmp_path / "1.sock", listener):
            pass
        with socket.create_connection(listener.getsockname(), timeout=patient(20)) as client:
            client.sendall(request)
            with handed(device, "control:clients", tmp_path / "2.sock", listener):
                assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_the_watchdog_is_not_fed_by_a_serve_that_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000")

    async def fed(*, closed: bool, ended: bool) -> bool:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        chore = asyncio.create_task(asyncio.sleep(0 if ended else 60))
        await asyncio.sleep(0.01)
        if closed:
            server.close()
        watchdog = asyncio.create_task(readiness.watchdog([server], [chore]))
        await asyncio.sleep(0.05)
        for task in (watchdog, chore):
            task.cancel()
        server.close()
        try:
            return listener.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return False

    for closed, ended in ((False, False), (True, False), (False, True)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            (tmp_path / "notify").unlink(missing_ok=True)
            listener.bind(str(tmp_path / "notify"))
            listener.settimeout(0)
            assert asyncio.run(fed(closed=closed, ended=ended)) is not (closed or ended)


def test_the_machines_own_device_has_its_settings_in_etc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path / "data")
    monkeypatch.setattr(settings, "ETC", tmp_path / "serve.toml")
    (tmp_path / "serve.toml").write_text("threads = 2\n")
    (tmp_path / "data").mkdir()
    assert app._settings(app.Options(data=tmp_path / "data")).threads == 2
    assert app._settings(app.Options(data=tmp_path / "other")).threads == "auto"
    (tmp_path / "data/serve.toml").write_text("threads = 3\n")
    assert app._settings(app.Options(data=tmp_path / "data")).threads == 3


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    with serving("--http", "0.0.0.0:0", TINY) as serve:
        _, port = serve.address
        own = requests.get(f"http://127.0.0.1:{port}/v1/models/tiny", timeout=20)
        assert own.status_code == 200
    assert Settings().http == "127.0.0.1:8501"


def test_memory_does_not_grow_with_requests_and_switches(device: Device) -> None:
    releases = [device.add("digits"), device.add("digits", release=2, data=model("tiny_int8_b"))]
    with serving(f"--data={device.tree.root}") as serve, requests.Session() as session:
        document = {"instances": [[[[0.5]] * 8] * 8]}
        resident: list[int] = []
        for _ in range(3):
            for k in range(60):
                order = releases[k % 2].order
                assert ask(device.tree.control, "POST", "/control/activate", order)[0] == 200
                url = f"{serve.url}/v1/models/digits:predict"
                assert session.post(url, json=document, timeout=20).status_code == 200
            resident.append(serve.kib())
        assert resident[-1] - resident[0] < 2048, resident


def test_a_trial_does_not_outlive_serve(device: Device) -> None:
    release = device.add("digits", repeat=LONG)
    body = json.dumps({**release.order, "hardware": "cpu-x86_64", "deadline_s": 60})
    serve = Serve("--http", "127.0.0.1:0", f"--data={device.tree.root}")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(device.tree.control))
        head = f"POST /control/try HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        peer.sendall((head + body).encode())
        wait_until(lambda: children(serve))
        (child,) = children(serve)
        time.sleep(0.5)
        assert alive(child)
        serve.kill()
        wait_until(lambda: not alive(child), within_s=1)
    serve.stop()


def test_it_closes_what_it_opened(device: Device) -> None:
    release = device.add("digits")
    with serving(f"--data={device.tree.root}") as serve:
        folder = Path(f"/proc/{serve.process.pid}/fd")

        def opened() -> int:
            return len(list(folder.iterdir()))

        ask(device.tree.control, "POST", "/control/activate", release.order)
        before = opened()
        for _ in range(20):
            order = {**release.order, "hardware": "cpu-x86_64", "deadline_s": 0.01}
            ask(device.tree.control, "POST", "/control/try", order)
        wait_until(lambda: opened() <= before + 1)
