"""A result on its way to the agent: at a desk as the agent's is, and where there is none."""

import json
import os
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from littoral import door
from littoral.errors import DeniedError, MalformedError, UnreachableError
from littoral.tree import Tree
from littoral.wire.messages import BENCH, Benched
from littoral_serve.bench import publishing, reading
from simulators.served import FIXTURES


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["bench", str(FIXTURES / "tiny_int8.tflite"), "--duration", "0.1", "--no-operators"]
    done = CliRunner().invoke(door.littoral, [*words, "--json"], catch_exceptions=False)
    found = tmp_path_factory.mktemp("results") / "tiny.json"
    found.write_text(done.stdout)
    return found


def handed(tmp_path: Path, file: Path, answer: bytes) -> tuple[bytes, Benched]:
    """Publish to a desk that answers so; return what it was given."""
    tree = Tree(tmp_path)
    tree.make()
    given: list[tuple[bytes, bytes]] = []
    with socket.socket(socket.AF_UNIX) as desk:
        desk.bind(str(tree.desk))
        desk.listen()

        def take() -> None:
            peer, _ = desk.accept()
            with peer:
                line, fds, _, _ = socket.recv_fds(peer, 64, 1)
                given.append((line, os.pread(fds[0], 100_000, 0)))
                os.close(fds[0])
                peer.sendall(answer)

        agent = threading.Thread(target=take)
        agent.start()
        try:
            publishing.publish(reading.read(file), tmp_path)
        finally:
            agent.join()
    return given[0][0], Benched.from_json(given[0][1])


def test_the_agent_is_handed_what_the_console_shows(tmp_path: Path, file: Path) -> None:
    line, found = handed(tmp_path, file, b"{}")
    told = json.loads(file.read_text())
    assert line == BENCH
    assert (found.target, found.backend, found.threads) == ("tiny_int8.tflite", "litert", 1)
    assert found.board == (told["host"]["board"] or told["host"]["processor"])
    assert found.figures["p50_us"] == told["latency_us"]["p50"]
    assert found.figures["rss_bytes"] == told["rss_bytes"]
    assert found.model is None


def test_a_device_that_is_nobodys_says_so(tmp_path: Path, file: Path) -> None:
    with pytest.raises(DeniedError, match="not enrolled"):
        handed(tmp_path, file, b'{"code": "usage", "error": "this device is not enrolled"}')
    (tmp_path / "other").mkdir()
    with pytest.raises(MalformedError):
        handed(tmp_path / "other", file, b"what?")


def test_where_no_agent_runs_it_is_told(tmp_path: Path, file: Path) -> None:
    with pytest.raises(UnreachableError, match="where an agent runs"):
        publishing.publish(reading.read(file), tmp_path)
