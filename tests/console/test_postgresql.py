"""The console on PostgreSQL: the same sentences as on SQLite, and what only two consoles can do."""

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select

# The same tests; their console is the one of the fixtures below.
from console.test_director_backwards import (  # noqa: F401
    HOUR_MS,
    Fleet,
    test_a_backup_that_comes_back_is_passed_once_the_device_speaks,
    test_a_console_that_lost_its_documents_alone_does_not_begin_anew,
    test_two_consoles_at_once_never_sign_one_version_twice,
    test_two_consoles_in_turn_only_go_up,
)
from console.test_once import *  # noqa: F403
from console.test_outcomes import *  # noqa: F403
from console.test_rest import *  # noqa: F403
from console.test_rollouts import *  # noqa: F403
from littoral.errors import StorageError
from littoral_console import audit
from littoral_console import tables as t
from littoral_console.database import Database
from simulators.console import ConsoleProcess, DeviceSimulator
from simulators.console import until as found_in_time
from simulators.postgres import PostgresSimulator, needs_postgres
from simulators.repository import RepositorySimulator

pytestmark = needs_postgres

_HANG_UP = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresSimulator]:
    with PostgresSimulator() as found:
        yield found


@pytest.fixture
def url(server: PostgresSimulator) -> str:
    return server.database()


@pytest.fixture(scope="module")
def console(
    tmp_path_factory: pytest.TempPathFactory, server: PostgresSimulator
) -> Iterator[ConsoleProcess]:
    """Run what tests/console/conftest.py runs, on PostgreSQL."""
    base = tmp_path_factory.mktemp("console")
    publisher = RepositorySimulator(base)
    publisher.publish(publisher.bundle("digits", 1))
    publisher.publish(publisher.bundle("digits", 2))
    publisher.publish(publisher.bundle("digits", 3, hardware=("edgetpu-usb",)))
    with ConsoleProcess(base, publisher, ("--database", server.database())) as found:
        found.upload()
        yield found


@pytest.fixture
def fresh(tmp_path: Path, url: str) -> Iterator[ConsoleProcess]:
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    with ConsoleProcess(tmp_path, publisher, ("--database", url)) as found:
        found.upload()
        yield found


def test_migrations_end_in_the_tables_of_the_code(url: str) -> None:
    found = Database(url)
    with found.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, t.metadata) == []
    found.close()


def test_a_reader_cannot_write(url: str) -> None:
    found = Database(url)
    with pytest.raises(StorageError, match="read-only"), found.reading() as connection:
        connection.execute(insert(t.settings).values(name="a", value="b"))
    found.close()


class PostgresFleet(Fleet):
    """Two consoles on one PostgreSQL, and a backup of it."""

    def __init__(self, folder: Path, server: PostgresSimulator, *, apart_ms: int) -> None:
        self._server, self._url = server, server.database()
        super().__init__(folder, apart_ms=apart_ms)

    def open(self) -> None:
        self.consoles = [Database(self._url) for _ in range(2)]

    def save(self) -> None:
        self._saved = self._server.save(self._url)
        self.saved = self.wanted

    def restore(self) -> None:
        self.close()
        self._server.restore(self._url, self._saved)
        self.wanted = self.saved
        self.open()


@pytest.fixture(params=[-HOUR_MS, 0], ids=["behind", "same"])
def fleet(
    tmp_path: Path, server: PostgresSimulator, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    found = PostgresFleet(tmp_path, server, apart_ms=request.param)
    yield found
    found.close()


def test_the_log_of_two_consoles_is_one_chain(url: str) -> None:
    consoles = [Database(url) for _ in range(2)]

    def write(who: int) -> None:
        for n in range(40):
            entry = partial(audit.record, action="x", who=f"{who}", subject=f"{n}", now_ms=n)
            consoles[who].writer.write(entry)

    at_once(write, 2)
    with consoles[0].reading() as connection:
        assert audit.first_broken(connection) is None
        assert len(connection.execute(select(t.audit)).all()) == 80
    for one in consoles:
        one.close()


def test_two_consoles_open_an_empty_database_at_once(url: str) -> None:
    opened: list[Database] = []
    at_once(lambda _: opened.append(Database(url)), 3)
    assert len(opened) == 3
    for one in opened:
        one.close()


def test_a_server_that_is_started_anew_is_one_refusal() -> None:
    with PostgresSimulator() as server:
        found = Database(server.database())

        def count() -> int:
            with found.reading() as connection:
                return len(connection.execute(select(t.settings)).all())

        def put_one(name: str) -> None:
            found.writer.write(lambda c: c.execute(insert(t.settings).values(name=name, value="")))

        put_one("before")
        server.stop()
        for ask in (count, partial(put_one, "meanwhile")):
            with pytest.raises(StorageError, match="the database: "):
                ask()
        server.start()
        put_one("after")
        assert count() == 2
        found.close()


def test_a_server_that_takes_nothing_is_one_refusal(server: PostgresSimulator, url: str) -> None:
    """It is somebody's stand-by, or an administrator made it so."""
    found = Database(url)
    name = url.partition("@/")[2].partition("?")[0]
    server.sql(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    server.sql(url, _HANG_UP)
    with pytest.raises(StorageError, match="read-only"):
        found.writer.write(lambda c: c.execute(insert(t.settings).values(name="a", value="")))
    writable = "SET default_transaction_read_only = off"
    server.sql(url, writable, f"ALTER DATABASE {name} RESET ALL", _HANG_UP)
    found.writer.write(lambda c: c.execute(insert(t.settings).values(name="a", value="")))
    found.close()


def at_once(work: Callable[[int], object], many: int) -> None:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def pair(tmp_path: Path, url: str) -> Iterator[tuple[ConsoleProcess, ConsoleProcess]]:
    """Run two consoles of one fleet on one database, neither with a broker."""
    publisher = RepositorySimulator(tmp_path)
    for release in (1, 2):
        publisher.publish(publisher.bundle("digits", release))
    common = ("--database", url, "--broker", "none")
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with ConsoleProcess(folders[0], publisher, common) as first:
        first.upload()
        with ConsoleProcess(
            folders[1], publisher, (*common, "--replica", "b"), _token=first._token
        ) as second:
            second.upload()
            yield first, second


def at(device: DeviceSimulator, console: ConsoleProcess) -> DeviceSimulator:
    """Return the device as it speaks with another console."""
    there = copy.copy(device)
    there.__dict__.pop("bearer", None)
    there.console = console
    return there


def test_two_consoles_are_one_fleet(pair: tuple[ConsoleProcess, ConsoleProcess]) -> None:
    first, second = pair
    devices = [
        DeviceSimulator(one, name) for one, name in zip(pair, ("left", "right"), strict=True)
    ]
    number = second.push("digits:1")
    for device in devices:
        for one in pair:
            assert at(device, one).desired() is not None

    def live(n: int) -> None:
        here, there = at(devices[n], first), at(devices[n], second)
        for turn in range(10):
            said = here.report("fetched", release=1, sequence=turn + 1)
            (here if turn % 2 else there).post(said)
            there.post(said)  # its answer was lost, and another console is asked

    at_once(live, 2)
    for device, one in zip(devices, reversed(pair), strict=True):
        said = device.report("healthy", release=1, good=1, sequence=11)
        assert at(device, one).post(said) == {device.stream: 11}
        assert len(first.rest.get("history", device=device.name)) == 11
    assert first.rest.get(f"rollouts/{number}")["rollout"]["outcomes"] == {"healthy": 2}
    assert second.rest.get("audit")["broken"] is None


def test_what_one_console_ends_the_other_hears_no_more(
    pair: tuple[ConsoleProcess, ConsoleProcess],
) -> None:
    first, second = pair
    device = DeviceSimulator(first, "gone")
    there = at(device, second)
    assert there.post(there.report("fetched")) == {device.stream: 1}
    first.rest.post("devices/gone/revoke")
    status, _ = there.ask("GET", "/device/desired?wait_s=0", bearer=there.bearer)
    assert status == 403


def test_a_console_that_is_killed_leaves_the_other_no_lock(
    pair: tuple[ConsoleProcess, ConsoleProcess],
) -> None:
    first, second = pair
    devices = [DeviceSimulator(first, f"kept-{n}") for n in range(3)]
    stop = threading.Event()

    def speak(n: int) -> None:
        here, sequence = at(devices[n], first), 0
        with contextlib.suppress(Exception):  # its console dies
            while not stop.is_set():
                sequence += 1
                here.post(here.report("fetched", sequence=sequence))

    threads = [threading.Thread(target=speak, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    found_in_time(lambda: len(second.rest.get("history", limit=1000)) > 20, "reports")
    first.kill()
    stop.set()
    for thread in threads:
        thread.join()
    second.push("digits:2")
    for device in devices:
        there = at(device, second)
        (stream,) = second.device(device.name)["streams"]
        assert stream["acked"] == stream["highest"], "what was committed is whole"
        after = there.report("healthy", release=2, good=2, sequence=stream["acked"] + 1)
        assert there.post(after) == {device.stream: stream["acked"] + 1}
