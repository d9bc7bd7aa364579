"""``littoral install``: a medium is handed to the agent that runs, or taken where none does."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from littoral.errors import MisuseError, UnreachableError
from littoral.wire.journal import State
from littoral.wire.receipt import Receipt, SignedReceipt
from littoral_agent.install import hand_over
from patience import patient
from simulators.console import littoral
from simulators.fleet import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, broker=False) as fleet:
        fleet.repo.publish(fleet.repo.bundle("digits", 1))
        fleet.enrol()
        fleet.console.stop()  # from here on, nobody is reached
        yield fleet


def stick(fleet: Fleet, release: int = 1) -> Path:
    """Return a medium with the repository as it is, and a word that names ``release``."""
    fleet.version += 1
    folder = fleet.repo.base / "stick"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(fleet.repo.folder, folder)
    wanted = fleet.repo.assignment("digits", release)
    word = fleet.repo.director(wanted, device="pi-7", version=fleet.version)
    (folder / "director").mkdir()
    (folder / "director/pi-7.json").write_bytes(word)
    return folder


def install(fleet: Fleet, folder: Path, *, wait_s: float = 20) -> Any:
    words = ("install", folder, "--data", fleet.tree.root, "--wait", wait_s, "--json")
    done = littoral(*words)
    assert done.stdout, done.stderr
    return {"exit": done.returncode, **json.loads(done.stdout)}


def up(fleet: Fleet) -> None:
    fleet.wait(lambda: listens(fleet.tree.desk))


def listens(desk: Path) -> bool:
    """Say whether somebody listens there: the socket is a file a moment before."""
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(desk)) == 0


def test_the_agent_that_runs_takes_it(fleet: Fleet) -> None:
    with fleet.agent():
        up(fleet)
        found = install(fleet, stick(fleet))
        assert (found["exit"], found["code"], found["version"]) == (0, None, 1)
        assert [(m["model"], m["release"]) for m in found["models"]] == [("digits", 1)]
        assert found["models"][0]["verdict"] in {"on probation", "proven"}
        fleet.wait(lambda: fleet.good("digits") == 1)


def test_where_no_agent_runs_it_is_taken_all_the_same(fleet: Fleet) -> None:
    found = install(fleet, stick(fleet))
    assert (found["exit"], found["code"]) == (0, None)
    assert fleet.journal("digits").state in {State.PROBATION, State.IDLE}
    with fleet.agent():
        fleet.wait(lambda: fleet.good("digits") == 1)


def test_without_serve_the_files_come_and_the_rest_waits(fleet: Fleet) -> None:
    fleet.serve.stop()
    found = install(fleet, stick(fleet))
    assert [m["verdict"] for m in found["models"]] == ["under way"]
    shutil.rmtree(fleet.repo.base / "stick")
    fleet.serve.start()
    with fleet.agent():
        fleet.wait(lambda: fleet.good("digits") == 1)


def requiring(fleet: Fleet, release: int, operators: dict[str, int]) -> None:
    """Publish a release whose variants state operators: only serve knows whether it can."""
    path = fleet.repo.bundle("digits", release) / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for variant in manifest["variants"]:
        variant["requires"]["operators"] = operators
    path.write_text(json.dumps(manifest))
    fleet.repo.publish(path.parent)


def test_what_only_serve_could_tell_is_brought_without_it_and_judged_later(fleet: Fleet) -> None:
    """Seen: the stick had to come again, because serve was down for a moment."""
    assert install(fleet, stick(fleet))["exit"] == 0
    requiring(fleet, 2, {"ADD": 1})
    fleet.serve.stop()
    folder = stick(fleet, 2)
    done = littoral("install", folder, "--data", fleet.tree.root)
    assert done.stdout.startswith("digits: release 2 is under way"), done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    shutil.rmtree(folder)
    fleet.serve.start()
    with fleet.agent():
        fleet.wait(lambda: fleet.good("digits") == 2)


def test_what_serve_cannot_run_is_refused_once_it_says_so_and_blames_nobody(fleet: Fleet) -> None:
    assert install(fleet, stick(fleet))["exit"] == 0
    with fleet.agent():
        fleet.wait(lambda: fleet.good("digits") == 1)
    requiring(fleet, 2, {"ADD": 99})
    fleet.serve.stop()
    folder = stick(fleet, 2)
    assert [m["verdict"] for m in install(fleet, folder)["models"]] == ["under way"]
    fleet.serve.start()
    with fleet.agent():
        fleet.wait(lambda: fleet.journal("digits").state is State.IDLE)
    held = fleet.journal("digits")
    assert held.said is not None
    assert (held.said.update.event, held.said.update.code) == ("refused", "operators")
    assert (held.quarantine, held.good.release if held.good else None) == ({}, 1)


def test_a_medium_for_another_device_is_refused_as_a_whole(fleet: Fleet) -> None:
    folder = stick(fleet)
    wanted = fleet.repo.assignment("digits", 1)
    word = fleet.repo.director(wanted, device="pi-8", version=9)
    (folder / "director/pi-7.json").write_bytes(word)
    for _ in range(2):  # and again, when it is known
        found = install(fleet, folder)
        assert (found["exit"], found["code"], found["models"]) == (1, "wrong-device", [])


def test_a_medium_without_a_word_says_how_to_get_one(fleet: Fleet) -> None:
    folder = stick(fleet)
    shutil.rmtree(folder / "director")
    done = littoral("install", folder, "--data", fleet.tree.root)
    assert (done.returncode, "littoral fleet export" in done.stdout) == (1, True)


def test_what_the_device_has_to_tell_is_left_on_the_medium_also_by_one_that_runs(
    fleet: Fleet,
) -> None:
    folder = stick(fleet)
    with fleet.agent():
        up(fleet)
        found = install(fleet, folder)["receipt"]
        assert (found["file"], found["code"], found["left"]) == ("receipts/pi-7.json", None, 0)
        signed = SignedReceipt.from_json((folder / found["file"]).read_bytes())
        told = Receipt.from_json(signed.signed)
        assert [one.update.event for one in told.reports if one.update][:2] == [
            "desired",
            "fetched",
        ]
        assert (told.status.device, told.status.online, told.status.receipts) == ("pi-7", False, 1)
        assert [(one.model, one.release) for one in told.status.models] == [("digits", 1)]
        shutil.rmtree(folder / "director")  # and a medium that has no word for it
        again = install(fleet, folder)
        assert (again["code"], again["receipt"]["file"]) == ("forgotten", found["file"])


def test_where_no_receipt_can_be_left_the_medium_is_taken_all_the_same(fleet: Fleet) -> None:
    folder = stick(fleet)
    (folder / "receipts").symlink_to(fleet.repo.base)
    before = sorted(fleet.repo.base.iterdir())
    found = install(fleet, folder)
    assert (found["exit"], found["receipt"]["code"]) == (0, "storage")
    assert sorted(fleet.repo.base.iterdir()) == before
    text = littoral("install", folder, "--data", fleet.tree.root).stdout
    assert "no receipt: " in text


def test_an_older_medium_is_stale_and_what_runs_goes_on(fleet: Fleet) -> None:
    fleet.repo.publish(fleet.repo.bundle("digits", 2))
    older = stick(fleet, 1).rename(fleet.repo.base / "older")
    with fleet.agent():
        up(fleet)
        assert install(fleet, stick(fleet, 2))["exit"] == 0
        fleet.wait(lambda: fleet.good("digits") == 2)
        found = install(fleet, older)
        assert (found["exit"], found["code"]) == (1, "stale")
        assert fleet.good("digits") == 2


def test_a_medium_that_was_mended_is_taken_at_once(fleet: Fleet) -> None:
    """Not when what was refused is looked at again by itself, a quarter of an hour later."""
    folder = stick(fleet)
    blob = max((folder / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    whole = blob.read_bytes()
    blob.write_bytes(bytes(len(whole)))
    with fleet.agent():
        up(fleet)
        found = install(fleet, folder)
        assert (found["exit"], [m["code"] for m in found["models"]]) == (1, ["hash"])
        blob.write_bytes(whole)
        found = install(fleet, folder)
        assert [m["release"] for m in found["models"]] == [1]
        fleet.wait(lambda: fleet.good("digits") == 1)


def test_a_device_of_nobody_says_so(fleet: Fleet) -> None:
    folder = stick(fleet)
    shutil.rmtree(fleet.tree.identity)
    words = ("install", folder, "--data", fleet.tree.root)
    done = littoral(*words)
    assert (done.returncode, "not enrolled" in done.stderr) == (2, True)
    with fleet.agent():  # and so it does where an agent waits for somebody to enrol it
        up(fleet)
        done = littoral(*words)
        assert (done.returncode, "not enrolled" in done.stderr) == (2, True)


def test_a_folder_that_is_none_is_a_misuse(fleet: Fleet) -> None:
    with pytest.raises(MisuseError, match="expected a folder"):
        hand_over(fleet.tree, fleet.repo.base / "none", wait_s=1)


def opened_to_all(fleet: Fleet) -> None:
    fleet.tree.desk.chmod(0o666)
    for path in (fleet.repo.base, *fleet.repo.base.parents):
        if path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
            path.chmod(0o755)
    fleet.tree.root.chmod(0o755)
    fleet.tree.sockets.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_who_is_neither_root_nor_the_agent_keeps_nobody_waiting(fleet: Fleet) -> None:
    folder = stick(fleet)
    with fleet.agent():
        up(fleet)
        opened_to_all(fleet)
        script = (
            "import socket, sys, os; os.setuid(65534)\n"
            "held = [socket.socket(socket.AF_UNIX) for _ in range(4)]\n"
            "for one in held: one.connect(sys.argv[1])\n"
            "print(flush=True); sys.stdin.read()\n"
        )
        words = [sys.executable, "-c", script, str(fleet.tree.desk)]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe) as stranger:
            assert stranger.stdout is not None
            stranger.stdout.readline()
            begun = time.monotonic()
            assert install(fleet, folder)["exit"] == 0
            assert time.monotonic() - begun < patient(10)
            stranger.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_who_is_neither_root_nor_the_agent_is_not_heard(fleet: Fleet) -> None:
    folder = stick(fleet)
    with fleet.agent():
        up(fleet)
        opened_to_all(fleet)
        script = (
            "import socket, sys, os; os.setuid(65534)\n"
            "one = socket.socket(socket.AF_UNIX); one.connect(sys.argv[1])\n"
            "fd = os.open(sys.argv[2], os.O_PATH)\n"
            "try:\n    socket.send_fds(one, [b'5'], [fd]); print(one.recv(100))\n"
            "except OSError: print(b'')\n"
        )
        words = [sys.executable, "-c", script, str(fleet.tree.desk), str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("b''\n", 0), done.stderr
        assert fleet.good("digits") is None


def test_nonsense_at_the_desk_harms_nobody(fleet: Fleet) -> None:
    with fleet.agent() as agent:
        up(fleet)
        for words in (b"", b"nan", b"12", b"x" * 64):
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(str(fleet.tree.desk))
                one.sendall(words)
                one.shutdown(socket.SHUT_WR)
                one.settimeout(10)
                assert one.recv(100) == b""
        with pytest.raises(UnreachableError):
            hand_over(fleet.tree.__class__(fleet.tree.root / "other"), stick(fleet), wait_s=1)
        assert agent.process.poll() is None
        assert install(fleet, fleet.repo.base / "stick")["exit"] == 0
