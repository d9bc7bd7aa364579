"""Serve as a process: what it loads, how it starts and comes back."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from littoral.wire import journal
from littoral.wire.journal import Journal, State
from littoral_serve import app, settings
from littoral_serve.listening import Listening
from littoral_serve.settings import Settings
from patience import patient
from simulators.ordered import running
from simulators.served import FIXTURES, Device, Serve, ask, command, computed_s, model, serving

FILE = f"tiny={FIXTURES}/tiny_int8.tflite"
TINY = f"--model={FILE}"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


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
    done = command(
        "--data", str(device.tree.root), "--http", "127.0.0.1:0", "--model", f"{name}={file}"
    )
    assert done.returncode == 2
    assert "as 'half-plus-two' is [usage]" in done.stderr


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


def test_journals_that_cannot_be_read_are_told(device: Device) -> None:
    device.tree.journals.rmdir()
    device.tree.journals.write_text("")
    serve = Serve("--http", "127.0.0.1:0", f"--data={device.tree.root}")
    assert serve.ready["models"] == {}
    told = serve.stop()
    assert f"no installed model is served: {device.tree.journals}: Not a directory" in told


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
    for done in (command("--help"), command("serve", "--help", module="littoral")):
        assert done.returncode == 0
        assert "Example: littoral serve --model digits=digits.tflite" in done.stdout


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
