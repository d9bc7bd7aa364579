"""A device that reaches nobody, from the console to the board: by the commands that people use."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from littoral.tree import Tree
from littoral.wire import journal
from littoral_agent.enroll import enroll
from simulators.console import PASSWORD, ConsoleProcess, littoral
from simulators.fleet import SETTINGS
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator


def run(*words: object, login: Path) -> Any:
    done = littoral(*words, "--json", LITTORAL_FLEET=str(login), LITTORAL_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
    held = journal.read(tree.journal("digits"))
    named = held.good or held.candidate
    assert named is not None
    assert named.release == 2
