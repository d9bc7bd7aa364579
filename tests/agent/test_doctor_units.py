"""What systemd shows of our units, and what it means."""

from pathlib import Path

import pytest

from littoral.tree import Tree
from littoral_agent.doctor import units
from littoral_agent.doctor.finding import Place
from littoral_agent.settings import DATA


def shown(**changed: str) -> str:
    """Return what systemctl shows of all our units when they are well, and of the agent changed."""
    well = {
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        "Result": "success",
        "NRestarts": "0",
        "UnitFileState": "enabled",
        "WatchdogUSec": "1min",
    }
    blocks = []
    for name in units.UNITS:
        told = {"Id": name, **well, **(changed if name == "littoral-agent.service" else {})}
        if name.endswith(".socket"):
            del told["NRestarts"], told["WatchdogUSec"]
        blocks.append("".join(f"{key}={value}\n" for key, value in told.items()))
    return "\n".join(blocks)


def test_all_is_well() -> None:
    found = units.judge_units(shown())
    assert found.state == "ok"
    assert "littoral-agent.service running" in found.found


@pytest.mark.parametrize(
    ("changed", "state", "words", "do"),
    [
        ({"ActiveState": "failed", "Result": "oom-kill"}, "fail", "oom-kill", "restart"),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"},
            "fail",
            "ends again and again",
            "journalctl -u littoral-agent.service",
        ),
        (
            {"ActiveState": "activating", "SubState": "start", "NRestarts": "9"},
            "fail",
            "ends again and again",
            "journalctl",
        ),
        ({"ActiveState": "inactive", "SubState": "dead"}, "fail", "does not run", "start"),
        ({"LoadState": "masked", "ActiveState": "inactive"}, "fail", "masked", "unmask"),
        (
            {"LoadState": "masked", "UnitFileState": "masked-runtime"},
            "fail",
            "masked",
            "unmask --runtime",
        ),
        ({"LoadState": "bad-setting"}, "fail", "does not load (bad-setting)", "status"),
        ({"NRestarts": "12"}, "warn", "was started again 12 times", "journalctl"),
        ({"UnitFileState": "disabled"}, "warn", "does not start with the machine", "enable"),
        ({"WatchdogUSec": "0"}, "warn", "nobody notices when", "systemctl cat"),
    ],
)
def test_what_is_wrong_is_told_with_its_command(
    *, changed: dict[str, str], state: str, words: str, do: str
) -> None:
    found = units.judge_units(shown(**changed))
    assert found.state == state
    assert words in found.wrong
    assert do in found.do


def test_a_machine_without_the_package() -> None:
    absent = "\n".join(f"Id={name}\nLoadState=not-found\n" for name in units.UNITS)
    assert units.judge_units(absent).state == "skip"


def test_the_names_are_those_of_our_units() -> None:
    folder = Path(__file__).parents[2] / "systemd"
    assert all((folder / name).is_file() for name in units.UNITS)


def dog(root: Path, state: str) -> None:
    folder = root / "sys/class/watchdog/watchdog0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identity").write_text("Broadcom BCM2835 Watchdog timer\n")
    (folder / "state").write_text(f"{state}\n")
    (folder / "timeout").write_text("15\n")


def test_a_boards_own_watchdog(tmp_path: Path) -> None:
    place = Place(Tree(tmp_path / "data"), tmp_path)
    assert units.watchdog(place).state == "skip"
    dog(tmp_path, "active")
    assert units.watchdog(place).found.endswith("Watchdog timer is fed, and bites after 15 s")
    dog(tmp_path, "inactive")
    assert units.watchdog(place).state == "skip", "a laptop's"
    found = units.watchdog(Place(Tree(DATA), tmp_path))
    assert (found.state, "RuntimeWatchdogSec=15" in found.do) == ("warn", True)
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    assert units.watchdog(place).state == "warn"
