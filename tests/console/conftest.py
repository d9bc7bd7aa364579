"""One console for all tests that only ask it; those that kill or count start their own.

Each test brings devices of its own names. The pages are looked at on a fleet that is made up.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.coast import Coast, settle
from console.listening import listening
from console.shell import Shell
from littoral_console.app import people_app
from simulators.console import PASSWORD, ConsoleProcess
from simulators.repository import RepositorySimulator


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    """Run a console with releases 1 to 3 of digits, the third for a Coral stick alone."""
    base = tmp_path_factory.mktemp("console")
    publisher = RepositorySimulator(base)
    publisher.publish(publisher.bundle("digits", 1))
    publisher.publish(publisher.bundle("digits", 2))
    publisher.publish(publisher.bundle("digits", 3, hardware=("edgetpu-usb",)))
    with ConsoleProcess(base, publisher) as found:
        found.upload()
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ConsoleProcess]:
    """Run a console of one's own, with release 1 of digits."""
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    with ConsoleProcess(tmp_path, publisher) as found:
        found.upload()
        yield found


@pytest.fixture
def shell(console: ConsoleProcess, tmp_path: Path) -> Shell:
    """Log in from a terminal."""
    found = Shell(tmp_path / "fleet.json")
    done = found("login", console.ready["http"], LITTORAL_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def coast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coast]:
    """Make up a fleet for the pages of one file of tests."""
    found = settle(tmp_path_factory.mktemp("coast"))
    yield found
    found.context.database.close()


@pytest.fixture(scope="module")
def url(coast: Coast) -> Iterator[str]:
    """Serve the pages of that fleet; give their address."""
    with listening(people_app(coast.context)) as found:
        yield found
