"""Many devices in one process: each with its own identity, belief and folder, and a thread.

What they do is the agent's: its connections (``Origin``), its belief (``littoral.trust.client``),
its download (``fetch.bring``). They differ from it in what nobody outside sees: nothing is tried or
run, and a key signs in this process and not in a child.

A job comes on stdin as one line of JSON. It says ``{"waiting": n}`` once all have a session and ask
what they shall run, and one object for each device at the end.
"""

import json
import shutil
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from littoral import records
from littoral.backoff import Backoff
from littoral.bundle.manifest import MAX_BYTES, Manifest, target_path
from littoral.errors import UnreachableError
from littoral.tree import Tree
from littoral.trust.client import Client, bootstrap
from littoral.trust.keys import DEVICE_KEY, sign_session
from littoral.wire.enrolment import SessionRequest
from littoral.wire.messages import Key, Post, Report, Status
from littoral.wire.update import Update
from littoral_agent import fetch
from littoral_agent.download import Limits
from littoral_agent.halting import Halt
from littoral_agent.hosts import Repository
from littoral_agent.origin import READ_S, Origin

HARDWARE = "cpu-x86_64"
POLL_S = 25.0
MOST_BYTES = 64 * 1024
_STEPS = (
    ("desired", "fetching"),
    ("fetched", "testing"),
    ("passed", "probation"),
    ("healthy", "idle"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    url: str
    ca: str
    root: str  # the fleet's
    model: str
    release: int
    devices: tuple[str, ...]  # folders with key and certificate, named as the device


@dataclass(slots=True, kw_only=True)
class Told:
    """How it went, in seconds of a clock that all processes share."""

    device: str
    heard_s: float = 0.0
    whole_s: float = 0.0
    done_s: float = 0.0
    bytes: int = 0
    again: int = 0  # how often something had to be asked again
    error: str = ""


class Device:
    def __init__(self, folder: Path, job: Job) -> None:
        self._folder, self._job, self.told = folder, job, Told(device=folder.name)
        self._tree = Tree(folder / "data")
        self._origin = Origin(job.url, ca=Path(job.ca))
        self._bearer = ""
        self._sequence = 0

    def meet(self) -> None:
        """Open a session, and say that it is there."""
        self._tree.make()
        bootstrap(self._tree.metadata, Path(self._job.root).read_bytes())
        nonce = json.loads(self._origin.get("device/nonce", limit=MOST_BYTES).body)["nonce"]
        request = SessionRequest(
            nonce=nonce,
            certificate=(self._folder / "device.crt").read_text(),
            signature=sign_session(self._folder / DEVICE_KEY, nonce),
        )
        reply = self._origin.post("device/session", records.to_json(request), limit=MOST_BYTES)
        self._bearer = json.loads(reply.granted("session"))["bearer"]
        self._say()

    def live(self) -> None:
        """Wait for what shall run, bring it, tell of it."""
        while not self._heard():
            pass
        self.told.heard_s = time.monotonic()
        retry = Backoff(1.0, 30.0)
        while True:
            try:
                self._bring()
                self.told.whole_s = self.told.whole_s or time.monotonic()
                self._say(
                    *(self._report(*step) for step in _STEPS), self._report("healthy", "idle")
                )
            except UnreachableError as e:
                self._again(e)
                time.sleep(retry.next())
            else:
                break
        self.told.done_s = time.monotonic()
        self._origin.close()
        shutil.rmtree(self._tree.root)

    def _heard(self) -> bool:
        path = f"device/desired?after=0&wait_s={POLL_S:.0f}"
        headers = {"Authorization": f"Bearer {self._bearer}"}
        try:
            reply = self._origin.get(
                path, limit=MOST_BYTES, headers=headers, read_s=POLL_S + READ_S
            )
        except UnreachableError as e:
            self._again(e)
            return False
        return bool(reply.granted("desired"))

    def _bring(self) -> None:
        source = Repository(self._origin)
        client = Client(self._tree.metadata, source, now=datetime.now(UTC))
        client.refresh()
        found = client.lookup(target_path(self._job.model, self._job.release))
        assert found is not None
        manifest = Manifest.from_json(source(client.remote_name(found[0]), limit=MAX_BYTES))
        files = manifest.files_for(manifest.variants[0]).values()
        fetch.bring(files, source, self._tree, limits=Limits(), halt=Halt())
        self.told.bytes = sum(file.size for file in files)  # however often it was asked for

    def _again(self, error: UnreachableError) -> None:
        self.told.again += 1
        print(error, file=sys.stderr)

    def _report(self, event: str, state: str) -> Report:
        self._sequence += 1
        key = Key(
            device=self._folder.name, incarnation=1, stream="reports-1", sequence=self._sequence
        )
        update = Update(
            model=self._job.model,
            event=event,
            state=state,
            release=self._job.release,
            good=self._job.release if event == "healthy" else None,
            running=self._job.release if event == "healthy" else None,
        )
        once = f"{key.incarnation}/{key.stream}/{key.sequence}"
        now_ms = time.time_ns() // 1_000_000
        return Report(key=key, once=once, time_ms=now_ms, kind="update", update=update)

    def _say(self, *reports: Report) -> None:
        status = Status(
            device=self._folder.name,
            incarnation=1,
            online=True,
            time_ms=time.time_ns() // 1_000_000,
            software="0.1.0",
            hardware=(HARDWARE,),
        )
        post = Post(status=status, reports=reports)
        headers = {"Authorization": f"Bearer {self._bearer}"}
        reply = self._origin.post(
            "device/messages", post.to_json(), limit=MOST_BYTES, headers=headers
        )
        reply.granted("messages")


class Swarm:
    def __init__(self, job: Job) -> None:
        self._devices = [Device(Path(folder), job) for folder in job.devices]
        self._met = threading.Barrier(len(self._devices) + 1)

    def run(self) -> None:
        threading.stack_size(512 * 1024)
        threads = [threading.Thread(target=self._one, args=(one,)) for one in self._devices]
        for thread in threads:
            thread.start()
        self._met.wait()
        print(json.dumps({"waiting": len(threads)}), flush=True)
        for thread, device in zip(threads, self._devices, strict=True):
            thread.join()
            print(json.dumps(asdict(device.told)), flush=True)

    def _one(self, device: Device) -> None:
        """Live a device's life; whatever ends it early is its own, and told."""
        try:
            try:
                device.meet()
            finally:
                self._met.wait()
            device.live()
        except Exception as e:  # noqa: BLE001
            device.told.error = f"{type(e).__name__}: {e}"


if __name__ == "__main__":
    Swarm(records.from_json(Job, sys.stdin.buffer.readline(), limit=2**20)).run()
