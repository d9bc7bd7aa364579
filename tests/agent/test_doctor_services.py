"""The data folder, the settings, a real agent and a real serve, as doctor finds them."""

import os
from pathlib import Path

import pytest

from littoral.tree import Tree
from littoral_agent import settings
from littoral_agent import state as state_of_agent
from littoral_agent.doctor import services
from littoral_agent.doctor.finding import Place
from littoral_agent.state import Live
from simulators.fleet import SETTINGS, Fleet
from simulators.served import FIXTURES, serving

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    tree = Tree(tmp_path / "data")
    tree.make()
    tree.root.chmod(0o750)
    return Place(tree, tmp_path)


def test_where_no_device_is_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    place = Place(Tree(tmp_path / "none"))
    for look in (services.folder, services.agent, services.serve):
        assert look(place).state == "skip"


def test_a_folder_that_is_well(place: Place) -> None:
    found = services.folder(place)
    assert (found.state, found.found.startswith(f"{place.tree.root}, 0750")) == ("ok", True)


def test_folders_that_others_may_enter(place: Place) -> None:
    place.tree.identity.chmod(0o755)
    assert services.folder(place).do == f"sudo chmod 700 {place.tree.identity}"
    place.tree.root.chmod(0o777)
    assert "everybody may write there" in services.folder(place).wrong


@ROOT
def test_what_root_left_in_the_agents_folder(place: Place) -> None:
    """Whoever ran the agent once by hand, with sudo."""
    for path in (place.tree.root, *place.tree.root.rglob("*")):
        os.chown(path, 12345, 12345)
    assert services.folder(place).state == "ok"
    lost = place.tree.journals / "digits.json"
    lost.touch()
    found = services.folder(place)
    assert found.state == "fail"
    assert f"1 files in it are not 12345's, as {lost}" in found.wrong
    assert found.do == f"sudo chown -hR 12345: {place.tree.root}"
    lost.unlink()
    (place.tree.sockets / "control.sock").symlink_to("/run/elsewhere")
    assert services.folder(place).state == "ok", "the package's links are root's"


def test_settings_that_are_wrong_or_shadowed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert services.settings(place).found == "every setting has its default"
    place.tree.settings.write_text("keep = 3\nkep = 3\n")
    found = services.settings(place)
    assert found.wrong == f"{place.tree.settings}:2: no setting 'kep'; did you mean 'keep'?"
    place.tree.settings.write_text("keep = 3\n")
    etc = place.root / "etc.toml"
    etc.touch()
    monkeypatch.setattr(settings, "DATA", place.tree.root)
    monkeypatch.setattr(settings, "ETC", etc)
    found = services.settings(place)
    assert found.state == "warn"
    assert f"{etc} is not read" in found.wrong


def test_hardware_that_is_named_and_not_here(place: Place) -> None:
    place.tree.settings.write_text('hardware = ["edgetpu-usb", "cuda"]\n')
    found = services.settings(place)
    assert found.state == "warn"
    assert found.wrong == "agent.toml names hardware that is not here: edgetpu-usb"


def test_an_address_that_nobody_listens_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.tree.root / "serve.toml").write_text('http = "127.0.0.1:9000"\n')
    assert services.settings(place).state == "ok"
    unit = place.root / "usr/lib/systemd/system/littoral-agent.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    monkeypatch.setattr(services, "DATA", place.tree.root)
    found = services.settings(place)
    assert found.state == "warn"
    assert found.do == "sudo systemctl edit littoral-serve.socket"
    assert services.agent(place).do == "sudo systemctl start littoral-agent littoral-serve"


def test_nothing_runs(place: Place) -> None:
    for look in (services.agent, services.serve):
        found = look(place)
        assert (found.state, found.do) == ("fail", f"littoral run --data {place.tree.root}")


def test_an_agent_from_its_first_breath_to_an_outage(tmp_path: Path) -> None:
    with Fleet(tmp_path, settings=f'{SETTINGS}channel = "mqtt"\n') as fleet:
        assert fleet.broker is not None
        here = Place(fleet.tree)
        with fleet.agent():
            fleet.wait(lambda: services.agent(here).state == "ok")
            assert "not enrolled" in services.agent(here).found
            fleet.enrol()
            fleet.wait(lambda: "connected over mqtt" in services.agent(here).found)
            fleet.broker.kill()
            fleet.wait(lambda: services.agent(here).state == "fail")
            assert ", since 20" in services.agent(here).wrong


@pytest.mark.parametrize(
    ("code", "state", "do"),
    [
        ("waiting", "warn", "littoral fleet claims"),
        ("frozen", "fail", "littoral fleet devices thaw NAME"),
        ("revoked", "fail", "littoral enroll"),
        ("wrong-board", "fail", "littoral enroll"),
        ("unreachable", "fail", "littoral status"),
    ],
)
def test_an_agent_that_says_why_it_is_not_heard(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, code: str, state: str, do: str
) -> None:
    said = Live(pid=7, code=code, words="as the agent says it")
    monkeypatch.setattr(state_of_agent, "live", lambda _tree: said)
    found = services.agent(place)
    assert (found.state, found.wrong) == (state, f"as the agent says it [{code}]")
    assert do in found.do


def test_serve_answers_its_agent_and_its_clients(place: Place) -> None:
    pytest.importorskip("httptools")
    pytest.importorskip("ai_edge_litert")
    tiny = f"--model=tiny={FIXTURES}/tiny_int8.tflite"
    with serving("--data", str(place.tree.root), "--http", "127.0.0.1:0", tiny):
        found = services.serve(place)
    assert found.state == "ok"
    assert "tiny 1" in found.found


def test_a_serve_whose_clients_get_no_answer(tmp_path: Path) -> None:
    with Fleet(tmp_path, broker=False) as fleet:  # its serve has a control socket alone
        found = services.serve(Place(fleet.tree))
    assert found.state == "fail"
    assert "clients get no answer" in found.wrong
