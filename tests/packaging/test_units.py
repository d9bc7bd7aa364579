"""The units: what systemd says of them, and what a device relies on in them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deb.contents import files
from deb.targets import PACKAGES, ROOT, Target
from littoral_agent.stick import KINDS
from simulators.packages import need

UNITS = ROOT / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
# Of the others one runs once per connection, and one where its socket is asked for.
ALWAYS = [path for path in SERVICES if "@" not in path.name and path.stem != "littoral-grpc"]
SOCKETS = sorted(UNITS.glob("*.socket"))
DROP_INS = sorted((UNITS / "drop-ins").glob("*.conf"))
ACCELERATORS = [path for path in DROP_INS if path.stem != "grpc"]
MOST = {
    "littoral-agent": 1.5,
    "littoral-serve": 0.5,
    "littoral-grpc": 0.5,
    "littoral-trial@": 0.5,
    "littoral-stick@": 1.6,
    "littoral-console": 1.5,
}
MOST_WITH_AN_ACCELERATOR = 1.0


def stem(path: Path) -> str:
    return path.stem


def opened_by(drop_in: Path) -> str:
    """Return the unit that ``drop_in`` is for."""
    trial = drop_in.stem.endswith("-trial")
    return "littoral-trial@.service" if trial else "littoral-serve.service"


class Unit(dict[str, list[str]]):
    """Every value of every setting, sections apart: ``unit["Service.User"]``."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        section = ""
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#"):
                name, _, value = line.partition("=")
                self.setdefault(f"{section}.{name}", []).append(value)


def analyze(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [need("systemd-analyze"), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    return done.stdout + done.stderr


def exposure(folder: Path, unit: str) -> float:
    said = analyze("security", "--offline=true", "--no-pager", f"./{unit}", cwd=folder)
    line = next(line for line in said.splitlines() if "Overall exposure level" in line)
    return float(line.partition(".service: ")[2].split()[0])


@pytest.mark.parametrize("service", SERVICES, ids=stem)
def test_a_service_reaches_little(service: Path, tmp_path: Path) -> None:
    shutil.copy(service, tmp_path)
    assert exposure(tmp_path, service.name) <= MOST[service.stem]


@pytest.mark.parametrize("drop_in", ACCELERATORS, ids=stem)
def test_an_accelerator_opens_little_more(drop_in: Path, tmp_path: Path) -> None:
    unit = opened_by(drop_in)
    shutil.copy(UNITS / unit, tmp_path)
    alone = exposure(tmp_path, unit)
    (tmp_path / f"{unit}.d").mkdir()
    shutil.copy(drop_in, tmp_path / f"{unit}.d")
    opened = exposure(tmp_path, unit)
    assert alone < opened <= MOST_WITH_AN_ACCELERATOR, "it has no effect, or too much"


def test_grpc_opens_nothing_more(tmp_path: Path) -> None:
    shutil.copy(UNITS / "littoral-serve.service", tmp_path)
    (tmp_path / "littoral-serve.service.d").mkdir()
    shutil.copy(UNITS / "drop-ins/grpc.conf", tmp_path / "littoral-serve.service.d")
    assert exposure(tmp_path, "littoral-serve.service") <= MOST["littoral-serve"]
    socket = Unit(UNITS / "littoral-grpc.socket")
    assert "Install.WantedBy" not in socket, "off until it is asked for"
    wanted = Unit(UNITS / "drop-ins/grpc.conf")
    assert wanted["Unit.Wants"] == ["littoral-grpc.socket"]
    # What serve listens on is what clients are led to, and its command is else the same.
    usual, also = Unit(UNITS / "littoral-serve.service"), wanted["Service.ExecStart"][-1]
    path = Unit(UNITS / "littoral-grpc.service")["Service.ExecStart"][0].split()[-1]
    assert also == f"{usual['Service.ExecStart'][0]} --grpc {path}"


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    for path in (*SERVICES, *SOCKETS):
        shutil.copy(path, tmp_path)
    for path in DROP_INS:
        folder = tmp_path / f"{opened_by(path)}.d"
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder)
    names = [f"./{path.name}" for path in (*SERVICES, *SOCKETS)]
    assert analyze("verify", "--man=no", *names, cwd=tmp_path) == ""


def test_each_unit_is_in_one_package() -> None:
    held = [unit for package in PACKAGES.values() for unit in package.units]
    assert sorted(held) == sorted(path.name for path in (*SERVICES, *SOCKETS))


@pytest.mark.parametrize("service", ALWAYS, ids=stem)
def test_a_service_is_never_given_up(service: Path) -> None:
    unit = Unit(service)
    assert unit["Unit.StartLimitIntervalSec"] == ["0"]
    assert unit["Service.Restart"] == ["always"]
    assert unit["Service.OOMPolicy"] == ["continue"]
    assert "Service.MemoryMax" in unit


@pytest.mark.parametrize("service", ALWAYS, ids=stem)
def test_no_service_waits_for_a_network_or_for_the_right_time(service: Path) -> None:
    unit = Unit(service)
    assert unit["Unit.After"] == ["time-set.target network.target"]
    wanted = [*unit["Unit.Wants"], *unit.get("Unit.Requires", [])]
    assert not any("online" in one for one in wanted)


@pytest.mark.parametrize("name", ["littoral-agent", "littoral-serve"])
def test_the_devices_services_come_back_at_once_and_are_watched(name: str) -> None:
    unit = Unit(UNITS / f"{name}.service")
    assert unit["Service.RestartSec"] == ["500ms"]
    assert unit["Service.Type"] == ["notify"]
    assert unit["Service.NotifyAccess"] == ["main"]
    assert unit["Service.WatchdogSec"] == ["60"]
    assert unit["Service.Group"] == ["littoral"]
    assert "Service.DynamicUser" not in unit


def test_the_console_says_when_it_listens() -> None:
    unit = Unit(UNITS / "littoral-console.service")
    assert (unit["Service.Type"], unit["Service.NotifyAccess"]) == (["notify"], ["main"])


def test_the_agent_may_bind_and_serve_has_no_network() -> None:
    agent, serve = (Unit(UNITS / f"littoral-{name}.service") for name in ("agent", "serve"))
    assert "Service.SocketBindDeny" not in agent
    assert serve["Service.PrivateNetwork"] == ["yes"]
    assert serve["Service.SystemCallFilter"][-1] == "setpriority"
    walls = "landlock_create_ruleset landlock_restrict_self"
    assert agent["Service.SystemCallFilter"][-1] == walls
    assert serve["Service.Sockets"] == ["littoral-serve.socket littoral-control.socket"]


def test_the_sockets_are_the_ones_that_serve_looks_for() -> None:
    clients, control = (Unit(UNITS / f"littoral-{name}.socket") for name in ("serve", "control"))
    assert clients["Socket.ListenStream"] == ["127.0.0.1:8501", "/run/littoral/serve.sock"]
    assert control["Socket.ListenStream"] == ["/run/littoral/control.sock"]
    assert (control["Socket.FileDescriptorName"], control["Socket.SocketMode"]) == (
        ["control"],
        ["0660"],
    )
    assert clients["Socket.FileDescriptorName"] != ["control"]
    for unit in (clients, control):
        assert unit["Socket.Service"] == ["littoral-serve.service"]
        assert unit["Socket.TriggerLimitIntervalSec"] == ["0"]


def test_a_trial_has_less_than_serve_and_ends_with_its_connection() -> None:
    trial, serve = (Unit(UNITS / f"littoral-{name}.service") for name in ("trial@", "serve"))
    assert trial["Service.User"] == trial["Service.Group"] == ["littoral-trial"]
    assert trial["Service.StandardInput"] == ["socket"]
    assert trial["Service.RestrictAddressFamilies"] == ["none"]
    assert trial["Service.PrivateNetwork"] == ["yes"]
    assert "-/var/lib/littoral" in trial["Service.InaccessiblePaths"]
    assert "Service.Restart" not in trial
    for name in ("MemoryMax", "TasksMax", "RuntimeMaxSec", "Nice"):
        assert f"Service.{name}" in trial
    kept = {name for name in serve if name.startswith(("Service.Protect", "Service.Restrict"))}
    assert kept <= trial.keys()


def test_a_stick_is_mounted_apart_and_can_do_little() -> None:
    stick = Unit(UNITS / "littoral-stick@.service")
    assert stick["Service.PrivateMounts"] == ["yes"]
    assert stick["Service.PrivateNetwork"] == ["yes"]
    assert stick["Service.CapabilityBoundingSet"] == ["CAP_SYS_ADMIN CAP_DAC_OVERRIDE"]
    assert (stick["Service.DevicePolicy"], stick["Service.DeviceAllow"]) == (
        ["closed"],
        ["/dev/%I rw"],
    )
    assert "Install.WantedBy" not in stick, "nobody enables it: a rule of udev's starts it"


def test_the_rule_for_sticks_and_the_mount_name_the_same_file_systems() -> None:
    rule = (UNITS / "sticks/70-littoral-stick.rules").read_text()
    assert f'ENV{{ID_FS_TYPE}}!="{KINDS.replace(",", "|")}"' in rule


def test_the_rule_for_sticks_is_not_in_force_by_itself() -> None:
    target = Target("bookworm", "amd64")
    held = files(PACKAGES["agent"], target, [], when=0)
    rules = [path for path in held if path.endswith(".rules")]
    assert rules == ["usr/share/littoral-agent/sticks/70-littoral-stick.rules"]


def test_only_serve_may_ask_for_a_trial() -> None:
    socket = Unit(UNITS / "littoral-trial.socket")
    assert socket["Socket.ListenSequentialPacket"] == ["/run/littoral/trial.sock"]
    assert socket["Socket.Accept"] == ["yes"]
    assert socket["Socket.SocketUser"] == ["littoral-serve"]
    assert socket["Socket.SocketMode"] == ["0600"]
    assert "littoral-trial.socket" in Unit(UNITS / "littoral-serve.service")["Unit.Wants"][0]
