"""A device whose two programs are real: the agent with all its threads, serve with real models."""

import http
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from faults.calls import ALL, Injection
from faults.client import Client, predict
from faults.ground import TESTS
from littoral.tree import Tree
from littoral_agent.state import live
from simulators.broker import free_port
from simulators.served import alive

Victim = Literal["agent", "serve", "trial"]


@dataclass
class Pair:
    """One device's folder and both of its programs."""

    tree: Tree
    answers: dict[bytes, int]  # what clients get, by the release that says so
    broken: str | None = None
    port: int = field(default_factory=free_port)
    served: list[list[float]] = field(default_factory=list)  # from ready to the end, each life
    _programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = Client(self.port, self.answers)
        self._log = (self.tree.root.parent / "log").open("ab")

    def start(self, *injections: Injection, trace: bool = False) -> None:
        """Start whichever does not run; the agent under strace if something is to be injected."""
        if not self.runs("agent"):
            words = [sys.executable, "-m", "littoral_agent"]
            if self.broken is not None:
                words = [sys.executable, "-m", "faults.broken", self.broken]
            words += ["--data", str(self.tree.root)]
            self._programs["agent"] = self._begun(self._traced(injections, trace=trace) + words)
        if not self.runs("serve"):
            words = [sys.executable, "-m", "littoral_serve", "--json"]
            words += ["--data", str(self.tree.root), "--http", f"127.0.0.1:{self.port}"]
            serve = self._programs["serve"] = self._begun(words, stdout=subprocess.PIPE)
            assert serve.stdout is not None
            if not serve.stdout.readline():
                raise RuntimeError(f"serve did not start: {self.log[-2000:]}")
            self.served.append([time.monotonic(), float("inf")])
        if not self.client.is_alive():
            self.client.start()

    def kill(self, *victims: Victim) -> bool:
        """Kill them at once; return whether all of them lived."""
        lived = all(map(self.runs, victims))
        for name in victims:
            if name == "serve" and lived:
                self.served[-1][1] = time.monotonic()
            self._programs[name].kill()
        for name in victims:
            _gone(self._programs[name])
        return lived

    def kill_trial(self, *, after_s: float, within_s: float) -> bool:
        """Kill serve's child when it has lived for a while; return whether there was one."""
        until, serve = time.monotonic() + within_s, self._programs["serve"].pid
        while time.monotonic() < until and self.runs("serve"):
            pids = Path(f"/proc/{serve}/task/{serve}/children").read_text().split()
            if pids:
                time.sleep(after_s)
                return any(_killed(int(pid)) for pid in pids)
            time.sleep(0.005)
        return False

    def runs(self, name: str) -> bool:
        return name in self._programs and self._programs[name].poll() is None

    def wait(self, name: str, limit_s: float) -> bool:
        """Wait until a program has ended; return whether it did."""
        try:
            self._programs[name].wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> int:
        """Ask both to end; return the agent's exit status."""
        if self.client.is_alive():
            self.client.end()
        for name in ("agent", "serve"):
            if self.runs(name):
                self._programs[name].terminate()
                _gone(self._programs[name])
        return self._programs["agent"].returncode if "agent" in self._programs else 0

    def close(self) -> None:
        self.stop()
        self._log.close()

    @property
    def loaded(self) -> dict[str, int]:
        """What serve runs, asked as a client does."""
        status, body = predict(self.port)
        answer = self.answers.get(body)
        return {"digits": answer} if status == http.HTTPStatus.OK and answer is not None else {}

    @property
    def up(self) -> bool:
        """Whether the agent speaks with its console: it, and not the one before."""
        said = live(self.tree)
        return said is not None and said.up and said.pid == self._programs["agent"].pid

    @property
    def log(self) -> str:
        return (self.tree.root.parent / "log").read_text(errors="replace")

    def left_running(self) -> list[str]:
        """Name the processes that this device left: each has its folder for what is temporary."""
        mark = f"TMPDIR={self._temporary}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes().split(b"\0") and alive(path.parent.name):
                    found.append((path.parent / "cmdline").read_bytes().decode().replace("\0", " "))
            except OSError:
                continue
        return found

    @property
    def _temporary(self) -> Path:
        return self.tree.root.parent / "temporary"

    def _traced(self, injections: tuple[Injection, ...], *, trace: bool) -> list[str]:
        if not injections and not trace:
            return []
        names = dict.fromkeys(ALL if trace else (one.call for one in injections))
        # -D: the agent is our own child, and strace somebody else's.
        words = ["strace", "-D", "-f", "-y", "-q", "-s", "48"]
        words += ["-o", str(self.trace), "-e", "trace=" + ",".join(names), "-e", "signal=none"]
        for one in injections:
            words += ["-e", one.argument]
        return words

    @property
    def trace(self) -> Path:
        return self.tree.root.parent / "trace"

    def _begun(self, words: list[str], *, stdout: int | None = None) -> subprocess.Popen[bytes]:
        self._temporary.mkdir(exist_ok=True)
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=self._log if stdout is None else stdout,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(self._temporary)},
        )


def _gone(program: subprocess.Popen[bytes]) -> None:
    """Wait until it has ended, and let go of it."""
    program.wait(30)
    if program.stdout is not None:
        program.stdout.close()


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
