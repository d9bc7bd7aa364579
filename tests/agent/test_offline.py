"""A device that reaches nobody, from the console to the board: by the commands that people use."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from littoral.tree import Tree
from littoral.wire import journal
from littoral_agent import identity
from littoral_agent.enroll import enroll
from littoral_agent.spool import Message, Spool
from simulators.console import PASSWORD, ConsoleProcess, littoral, until
from simulators.fleet import SETTINGS, AgentProcess
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator


def run(*words: object, login: Path) -> Any:
    done = littoral(*words, "--json", LITTORAL_FLEET=str(login), LITTORAL_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def waiting(tree: Tree) -> list[Message]:
    enrolment = identity.of(tree).read()
    assert enrolment is not None
    one = Spool(
        tree.spool,
        device=enrolment.device,
        incarnation=enrolment.incarnation,
        cap_bytes=1,
    )
    try:
        return [found for found in one.messages({}, limit=100) if found.kind == "report"]
    finally:
        one.close()


def came_back(base: Path, console: ConsoleProcess, stick: Path, login: Path, tree: Tree) -> None:
    """Bring the receipt home, twice; then let the device come itself, with the same reports."""
    carried = len(waiting(tree))
    with console:
        for new in (carried, 0):
            (found,) = run("fleet", "import", stick, login=login)["receipts"]
            assert (found["device"], found["code"]) == ("pi-7", None)
            assert (found["reports"], found["new"], found["newer"]) == (carried, new, new > 0)
        device = run("fleet", "devices", "show", "pi-7", login=login)["device"]
        assert (device["online"], device["brought_ms"] is None) == (False, False)
        assert [(m["model"], m["release"]) for m in device["models"]] == [("digits", 2)]
        assert len(waiting(tree)) == carried  # the console has not acknowledged to the device
        agent = AgentProcess(tree, base / "agent.log")
        try:
            until(lambda: not waiting(tree), "acknowledged")
        finally:
            agent.stop()
        streams = run("fleet", "devices", "show", "pi-7", login=login)["streams"]
        told = run("fleet", "history", "--device", "pi-7", login=login)["history"]
        events = [one["event"] for one in told if one["model"] == "digits"]
        assert events.count("passed") == 1
        assert all(one["lost"] == 0 for one in streams)


@pytest.mark.slow
def test_a_stick_carries_a_release_from_the_console_to_the_board(tmp_path: Path) -> None:
    publisher, login, stick = (
        RepositorySimulator(tmp_path),
        tmp_path / "fleet.json",
        tmp_path / "stick",
    )
    for release in (1, 2):
        publisher.publish(publisher.bundle("digits", release))
    tree = Tree(tmp_path / "device")
    with ConsoleProcess(tmp_path, publisher, arguments=("--broker", "none")) as console:
        console.upload()
        run("fleet", "login", console.ready["http"], login=login)
        enroll(console.ready["devices"], console.token(), tree, name="pi-7")
        console.push("digits:2", to="pi-7")
        keys = console.data / "keys"
        carried = run(
            *("repo", "export", console.data / "repo", stick, "--online", keys),
            *("--model", "digits:2"),
            login=login,
        )
        assert carried["releases"] == ["digits:2"]
        assert run("fleet", "export", stick, login=login)["devices"] == ["pi-7"]
    tree.settings.write_text(SETTINGS)
    with ServeSimulator(tree) as serve:
        taken = run("install", stick, "--data", tree.root, "--wait", "30", login=login)
        assert [(one["model"], one["release"]) for one in taken["models"]] == [("digits", 2)]
        assert serve.running == {"digits": 2}
        assert taken["receipt"]["file"] == "receipts/pi-7.json"
        while taken["models"][0]["verdict"] != "proven":  # and asked again, it tells the rest
            taken = run("install", stick, "--data", tree.root, "--wait", "30", login=login)
        taken = run("install", stick, "--data", tree.root, "--wait", "30", login=login)
        assert taken["receipt"]["reports"] == len(waiting(tree))
    came_back(tmp_path, console, stick, login, tree)
    held = journal.read(tree.journal("digits"))
    named = held.good or held.candidate
    assert named is not None
    assert named.release == 2
