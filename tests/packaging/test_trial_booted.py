"""A trial as the package's units start it, in a booted machine: its user, and what it reaches."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.booted import Booted, Machine, machine
from simulators.served import HARDWARE, LONG, Release, alive, model, wait_until
from simulators.units import trials

pytestmark = pytest.mark.slow

# Stands in for the keeper: a model that has taken over its process could do as much.
HOSTILE = """
import json, os, socket, sys
from pathlib import Path
peer = socket.socket(fileno=os.dup(0))
order, fds, _, _ = socket.recv_fds(peer, 65536, 9)
peer.send(b"begun")
out = fds[-2]

def tried(deed):
    try:
        deed()
    except BaseException as e:
        return type(e).__name__
    return "done"

def connect(path, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.connect(path)

def write_code():
    import mmap
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)

def uid_of(pid):
    return Path(f"/proc/{pid}/status").read_text()

found = {
    "the model it was given": tried(lambda: os.pread(fds[1], 4, 0)),
    "write to the model": tried(lambda: os.pwrite(fds[1], b"x", 0)),
    "reopen the model for writing": tried(lambda: open(f"/proc/self/fd/{fds[1]}", "r+b")),
    "the data folder": tried(lambda: os.listdir("/var/lib/littoral")),
    "the cache": tried(lambda: os.listdir("/var/cache/littoral")),
    "the sockets": tried(lambda: os.listdir("/run/littoral")),
    "the agent's orders": tried(lambda: connect("/run/littoral/control.sock")),
    "the journal": tried(lambda: connect("/run/systemd/journal/socket", socket.SOCK_DGRAM)),
    "an internet socket": tried(lambda: socket.socket(socket.AF_INET)),
    "other processes": tried(lambda: uid_of(1)),
    "a file in /tmp of its own": tried(lambda: Path("/tmp/mine").write_text("x")),
    "a file in /var": tried(lambda: Path("/var/tmp/../lib/mine").write_text("x")),
    "a file in /etc": tried(lambda: Path("/etc/mine").write_text("x")),
    "code made as it runs": tried(write_code),
    "a namespace": tried(lambda: os.unshare(os.CLONE_NEWUSER) if hasattr(os, "unshare") else 1 / 0),
    "root": tried(lambda: os.setuid(0)),
    "groups": sorted(os.getgroups()) == [os.getgid()] or os.getgroups() == [],
    "signal anybody": tried(lambda: os.kill(1, 0)),
}
os.write(out, json.dumps({"code": "outputs", "detail": json.dumps(found)}).encode())
os.close(out), os.close(fds[-1])
peer.send(b"0")
"""


@pytest.fixture(scope="module")
def ready(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(root, tmp_path_factory.mktemp("booted")) as one:
        yield one


@pytest.fixture(scope="module")
def releases(ready: Machine) -> dict[str, Release]:
    device = ready.device
    device.good(device.add("steady"))
    lost = device.add("lost")
    device.good(lost)
    device.tree.manifest(lost.sha256).unlink()
    return {
        "good": device.add("digits"),
        "wrong": device.add("digits", data=model("tiny_int8_b")),
        "long": device.add("digits", repeat=LONG),
    }


@pytest.fixture(scope="module")
def booted(ready: Machine, releases: dict[str, Release]) -> Iterator[Booted]:
    assert releases
    with ready.boot() as one:
        yield one


def tried(booted: Booted, release: Release, deadline_s: float = 30) -> dict[str, object]:
    order = {**release.order, "hardware": HARDWARE, "deadline_s": deadline_s}
    status, reply = booted.order("try", order)
    assert status == 200, reply
    return dict(reply)


def test_ends_are_told_apart_as_in_a_child(booted: Booted, releases: dict[str, Release]) -> None:
    assert tried(booted, releases["good"]).get("code") is None, booted.run("journalctl", "-n50")
    assert tried(booted, releases["wrong"])["code"] == "outputs"
    late = tried(booted, releases["long"], deadline_s=1)
    assert (late["code"], late["detail"]) == ("deadline", "it did not end within 1 s")
    said = booted.run("journalctl", "--unit=littoral-serve")
    assert "systemd starts no trial" not in said


def test_a_trial_runs_as_a_user_of_its_own(
    booted: Booted, ready: Machine, releases: dict[str, Release]
) -> None:
    found: list[dict[str, object]] = []
    thread = threading.Thread(
        target=lambda: found.append(tried(booted, releases["long"], deadline_s=20))
    )
    thread.start()
    wait_until(lambda: trials(ready.device.tree))
    (trial,) = trials(ready.device.tree)
    status = (Path("/proc") / trial / "status").read_text()
    uid = booted.users["littoral-trial"]
    assert f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
    assert uid not in (booted.users["littoral"], booted.users["littoral-serve"])
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"):
        assert line in status
    assert "littoral-trial@" in (Path("/proc") / trial / "cgroup").read_text()
    wait_until(lambda: (Path("/proc") / trial / "oom_score_adj").read_text() == "1000\n")
    # Out of memory, the kernel ends the trial and not who keeps it.
    time.sleep(0.5)
    keeper = status.partition("PPid:\t")[2].split("\n")[0]
    assert (Path("/proc") / keeper / "oom_score_adj").read_text() == "500\n"
    assert booted.run("kill", "-9", _inside(trial)) == ""
    thread.join()
    assert found[0]["code"] == "memory"
    wait_until(lambda: not alive(keeper))
    left = booted.run("systemctl", "list-units", "--all", "--plain", "littoral-trial@*")
    assert "0 loaded units listed" in left


def _inside(pid: str) -> str:
    """Return the process id that the booted machine knows."""
    status = (Path("/proc") / pid / "status").read_text()
    return status.partition("NSpid:")[2].split("\n")[0].split()[-1]


def test_the_journal_is_asked_by_model_and_code(booted: Booted) -> None:
    words = ["journalctl", "--output=json", "MODEL=lost", "CODE=storage"]
    (line,) = booted.run(*words).splitlines()
    entry = json.loads(line)
    assert entry["MESSAGE"].startswith("lost is not served: ")
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("3", "littoral-serve")
    assert entry["_SYSTEMD_UNIT"] == "littoral-serve.service"
    plain = booted.run("journalctl", "--output=cat", "--identifier=littoral-serve")
    assert "serving steady 1 on http://127.0.0.1:8501" in plain


def test_a_hostile_trial_reaches_nothing(root: Path, tmp_path: Path) -> None:
    with machine(root, tmp_path) as other:
        device = other.device
        asked = device.add("digits")
        device.good(asked)
        (other.root / "opt/hostile.py").write_text(HOSTILE)
        start = "ExecStart=\nExecStart=/usr/bin/python3 /opt/hostile.py\n"
        other.drop_in("littoral-trial@.service", f"[Service]\n{start}")
        with other.boot() as booted:
            reply = tried(booted, asked)
            assert reply["code"] == "outputs", booted.run("journalctl", "-n50")
            found = json.loads(str(reply["detail"]))
    had = {what for what, came in found.items() if came is True or came == "done"}
    assert had == {"the model it was given", "a file in /tmp of its own", "groups"}, found
