"""What the agent loads, and when: memory on a device is paid for what is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from patience import patient
from simulators.fleet import Fleet

HEAVY = {"numpy", "ai_edge_litert", "tflite_runtime", "tensorflow", "onnxruntime", "PIL"}
FOR_UPDATES = {"tuf", "securesystemslib", "cryptography"}
MOST_RSS = 48 * 2**20
MOST_THREADS = 7  # main, update, serve, one or two of the channel, this test's, a deed of the start

RUN = """
import sys, threading, time
from pathlib import Path
from littoral.tree import Tree
from littoral_agent import settings
from littoral_agent.agent import Agent

tree = Tree(Path(sys.argv[1]))
agent = Agent(tree, settings.read(tree))

def tell():
    while not (tree.root / "tell").exists():
        time.sleep(0.05)
    until = time.monotonic() + 10  # what the start has to do may not be done yet
    while threading.active_count() > int(sys.argv[2]) and time.monotonic() < until:
        time.sleep(0.05)
    status = Path("/proc/self/statm").read_text().split()[1]
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    print(int(status) * 4096, threading.active_count(), *loaded, flush=True)
    agent.stop()

threading.Thread(target=tell, daemon=True).start()
agent.run()
"""


def loaded(code: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=patient(60),
    )
    return set(done.stdout.split())


def test_importing_the_room_loads_next_to_nothing() -> None:
    code = "import littoral_agent, sys; print(*{n.partition('.')[0] for n in sys.modules})"
    assert not loaded(code) & (HEAVY | FOR_UPDATES | {"paho", "urllib3", "click", "sqlite3"})


def test_importing_every_module_of_the_agents_process_loads_nothing_heavy() -> None:
    code = "import littoral_agent.agent, sys; print(*{n.partition('.')[0] for n in sys.modules})"
    assert not loaded(code) & (HEAVY | FOR_UPDATES | {"paho", "urllib3"})


@pytest.mark.parametrize("broker", [True, False], ids=["mqtt", "https"])
def test_an_idle_agent_has_loaded_nothing_that_only_updates_need(
    tmp_path: Path, *, broker: bool
) -> None:
    """On its own folder, with a good release and a believed document, connected."""
    with Fleet(tmp_path, broker=broker) as fleet:
        fleet.repo.publish(fleet.repo.bundle("digits", 1))
        fleet.enrol()
        with fleet.agent():
            fleet.order("digits", 1)
            fleet.wait(lambda: ("healthy", None) in fleet.events("digits"))
        before = fleet.log.read_text()
        statuses = fleet.broker.statuses if fleet.broker else fleet.console.statuses
        statuses.clear()
        with (
            fleet.log.open("ab") as log,
            subprocess.Popen(
                [sys.executable, "-c", RUN, str(fleet.tree.root), str(MOST_THREADS)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            fleet.wait(lambda: "pi-7" in statuses and statuses["pi-7"].serving)
            (fleet.tree.root / "tell").touch()
            assert process.stdout is not None
            rss, threads, *modules = process.stdout.readline().split()
        assert not set(modules) & (HEAVY | FOR_UPDATES), fleet.log.read_text()[len(before) :]
        assert ("urllib3" in modules) is not broker
        assert ("paho" in modules) is broker
        assert int(rss) < MOST_RSS
        assert int(threads) <= MOST_THREADS
