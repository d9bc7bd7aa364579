"""Mosquitto as the console's child: its configuration, its life, and who may say what.

Who a client is stands in its certificate alone, which is its name and its client id: so no
device can take another's session. It dies with the console, comes back on its port when it
dies alone, and one that a killed console left behind is recognised and ended.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import shutil
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from littoral import durable
from littoral.backoff import Backoff
from littoral.children import dying_with_us
from littoral.errors import UnreachableError
from littoral.trust.certificates import Authority
from littoral.wire.messages import ASK, BLOCK, SAID, TOLD, TOPICS, UP
from littoral_console import revocation
from littoral_console.options import REPLICAS
from littoral_console.revocation import Ended
from littoral_console.tls import Tls, blocks_name, console_name

FIND: Final = (None, "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")  # PATH, then where it hides
PACKET_BYTES: Final = 128 * 1024
QUEUED_MESSAGES: Final = 1_000_000  # Mosquitto's own limit of 1,000 drops most of a burst
_READY_S: Final = 10.0
_END_S: Final = 5.0
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 10.0
_log = logging.getLogger(__name__)


def program() -> str | None:
    """Return where Mosquitto is, None when it is not installed."""
    return next((p for path in FIND if (p := shutil.which("mosquitto", path=path))), None)


def configuration(folder: Path, *, tls: Tls, host: str, port: int, user: str) -> str:
    """Return mosquitto.conf."""
    certificate, key = tls.server
    lines = (
        f"user {user}",  # else root's Mosquitto becomes one that cannot read its key
        "per_listener_settings false",
        "allow_anonymous false",
        f"listener {port} {host}",
        f"cafile {folder / 'ca.pem'}",
        f"certfile {certificate}",
        f"keyfile {key}",
        f"crlfile {folder / 'revoked.pem'}",
        "tls_version tlsv1.2",  # or above
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        f"acl_file {folder / 'acl'}",
        f"max_packet_size {PACKET_BYTES}",
        f"max_queued_messages {QUEUED_MESSAGES}",
        f"max_queued_bytes {2**30}",
        "max_inflight_messages 100",
        "persistent_client_expiration 60d",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 60",
        "connection_messages false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "set_tcp_nodelay true",
    )
    return "\n".join(lines) + "\n"


def access_list(denied: Iterable[str]) -> str:
    """Return who may say what: consoles by name, devices by pattern, the denied nothing.

    A device writes the topics that there are and no others: each may hold a retained message,
    and a broker keeps those for ever.
    """
    lines = [
        *(line for replica in REPLICAS for line in _console(replica)),
        *(line for device in sorted(denied) for line in (f"user {device}", "topic deny #")),
        *(f"pattern write {TOPICS}/%u/{path}" for path in UP),
        f"pattern read {TOPICS}/%u/down/#",
    ]
    return "\n".join(lines) + "\n"


def _console(replica: str) -> Iterable[str]:
    yield f"user {console_name(replica)}"
    yield from (f"topic read {TOPICS}/+/{path}" for path in SAID)
    yield from (f"topic write {TOPICS}/+/{path}" for path in TOLD)
    yield f"user {blocks_name(replica)}"
    yield f"topic read {TOPICS}/+/{ASK}"
    yield f"topic write {TOPICS}/+/{BLOCK}"


@dataclass(slots=True, kw_only=True)
class Broker:
    """One Mosquitto. To be used from one event loop, whose thread outlives it."""

    folder: Path
    tls: Tls
    device_ca: Authority
    host: str
    program: str
    port: int = 0
    ended: Ended = field(default_factory=Ended)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def start(self) -> None:
        """Write the configuration, end a stale child, and return when it listens.

        Raises:
            UnreachableError: It does not come up; says what it said.

        """
        durable.make_folder(self.folder, mode=0o700)
        await asyncio.to_thread(_end_stale, self.folder / "pid", self.folder / "mosquitto.conf")
        self.port = _port(self.folder / "port", self.host)
        self._write()
        await self._spawn()

    async def supervise(self) -> None:
        """Bring it back whenever it dies, until cancelled; then end it."""
        backoff = Backoff(_RETRY_FIRST_S, _RETRY_MOST_S)
        try:
            while True:
                if self._process is not None:
                    code = await self._process.wait()
                    _log.warning("the broker ended with %s; it is started again", code)
                    self._process = None
                try:
                    await self._spawn()
                    backoff.reset()
                except UnreachableError as e:
                    _log.warning("%s", e)
                    await asyncio.sleep(backoff.next())
        finally:
            await self._end()

    def deny(self, ended: Ended) -> None:
        """Let the devices say and hear nothing from now on, on live connections too.

        Of certificates alone: none of them connects again.
        """
        self.ended = ended
        self._write_rules()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    def _write(self) -> None:
        user = pwd.getpwuid(os.geteuid()).pw_name
        text = configuration(self.folder, tls=self.tls, host=self.host, port=self.port, user=user)
        chain = (c.public_bytes(Encoding.PEM) for c in self.device_ca.chain)
        durable.replace(self.folder / "ca.pem", b"".join(chain) + self.tls.ca.read_bytes())
        durable.replace(self.folder / "mosquitto.conf", text.encode())
        self._write_rules()

    def _write_rules(self) -> None:
        revoked = revocation.lists(
            self.ended.certificates,
            device_ca=self.device_ca,
            console_ca=self.tls.authority(),
            now=datetime.now(UTC),
        )
        durable.replace(self.folder / "revoked.pem", revoked)
        durable.replace(self.folder / "acl", access_list(self.ended.devices).encode())

    async def _spawn(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *dying_with_us(),
            *(self.program, "-c", str(self.folder / "mosquitto.conf")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal is the console's alone
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
        )
        durable.replace(self.folder / "pid", str(process.pid).encode())
        said: list[str] = []
        reader = asyncio.create_task(_listen(process, said))
        _readers.add(reader)
        reader.add_done_callback(_readers.discard)
        if not await self._ready(process):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reader
            raise UnreachableError(f"mosquitto does not start: {' '.join(said[-3:]) or 'silent'}")
        self._process = process

    async def _ready(self, process: asyncio.subprocess.Process) -> bool:
        until = time.monotonic() + _READY_S
        while time.monotonic() < until and process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return True
        return False

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
            await process.wait()


_readers: set[asyncio.Task[None]] = set()


async def _listen(process: asyncio.subprocess.Process, said: list[str]) -> None:
    if process.stderr is None:
        return
    while line := await process.stderr.readline():
        said.append(line.decode(errors="replace").strip())
        del said[:-20]
        _log.debug("mosquitto: %s", said[-1])


def _port(kept: Path, host: str) -> int:
    """Return the port of last time, which devices know, if it is free; else any free one."""
    with contextlib.suppress(OSError, ValueError):
        port = int(kept.read_text())
        if _is_free(host, port):
            return port
        _log.warning("port %d, where devices expect the broker, is in use; taking another", port)
    port = _free(host)
    durable.replace(kept, str(port).encode())
    return port


def _is_free(host: str, port: int) -> bool:
    try:
        return _free(host, port) == port
    except OSError:
        return False


def _free(host: str, port: int = 0) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        return int(found.getsockname()[1])


def _end_stale(pid_file: Path, configuration_file: Path) -> None:
    """End the child of a console that was killed, if the process is still that child."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        for number, wait_s in ((signal.SIGTERM, _END_S), (signal.SIGKILL, _END_S)):
            if not _runs(pid, configuration_file):
                return
            _log.warning("ending the broker %d that an earlier console left", pid)
            os.kill(pid, number)
            until = time.monotonic() + wait_s
            while _runs(pid, configuration_file) and time.monotonic() < until:
                time.sleep(0.05)


def _runs(pid: int, configuration_file: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(configuration_file) in arguments
