"""One console for the tests of a module that only ask it; those that kill start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.console import ConsoleProcess
from simulators.repository import RepositorySimulator


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    """A console with releases 1 and 2 of digits, 2 for a Coral stick alone."""
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
    """A console of one's own, to be killed."""
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    with ConsoleProcess(tmp_path, publisher) as found:
        found.upload()
        yield found
