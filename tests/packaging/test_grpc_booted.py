"""gRPC on a device: the drop-in that asks for it, in a booted machine with the package's units."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from simulators.booted import Booted, machine
from simulators.served import wait_until

pytestmark = pytest.mark.slow

LINK = "/etc/systemd/system/littoral-serve.service.d/grpc.conf"
DROP_IN = "/usr/share/littoral-agent/drop-ins/grpc.conf"

# A client with nothing but grpcio: bytes of ModelReady in, bytes out.
ASK = """
import grpc
with grpc.insecure_channel("127.0.0.1:8500") as channel:
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")
    print(call(b"\\x0a\\x06steady", timeout=20, wait_for_ready=True).hex())
"""


@pytest.fixture(scope="module")
def booted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    with machine(root, tmp_path_factory.mktemp("grpc")) as one:
        one.device.good(one.device.add("steady"))
        with one.boot() as running:
            yield running


def asked(booted: Booted) -> str:
    return booted.run("/usr/bin/python3", "-c", ASK)


def shown(booted: Booted, unit: str, what: str) -> str:
    return booted.run("systemctl", "show", f"--property={what}", "--value", unit).strip()


def turn_on(booted: Booted) -> None:
    booted.run("mkdir", "-p", str(Path(LINK).parent))
    booted.run("ln", "-s", DROP_IN, LINK)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "restart", "littoral-serve")
    wait_until(lambda: shown(booted, "littoral-serve", "ActiveState") == "active")


def test_it_is_off_until_it_is_asked_for(booted: Booted) -> None:
    assert shown(booted, "littoral-grpc.socket", "ActiveState") == "inactive"
    assert "cygrpc" not in booted.run("sh", "-c", "cat /proc/[0-9]*/maps")


def test_without_debians_grpcio_serve_says_so_and_goes_on(booted: Booted) -> None:
    turn_on(booted)
    said = booted.run("journalctl", "--unit=littoral-serve", "--output=cat")
    assert "gRPC is not answered: gRPC needs the Python package 'grpcio'" in said
    assert "serving steady 1 on http://127.0.0.1:8501" in said.rpartition("gRPC is not")[2]


def test_clients_are_led_to_serve_and_come_back_to_a_new_one(booted: Booted) -> None:
    _install_grpcio(booted)
    booted.run("systemctl", "restart", "littoral-serve")
    assert asked(booted) == "0801\n", booted.run("journalctl", "-n60")
    assert shown(booted, "littoral-grpc.service", "ActiveState") == "active"
    user = shown(booted, "littoral-grpc.service", "User")
    assert user == "littoral-serve"
    mode = booted.run("stat", "--format=%a %U:%G", "/run/littoral-serve/grpc.sock")
    assert mode == "660 littoral-serve:littoral\n"
    before = shown(booted, "littoral-serve", "MainPID")
    booted.run("kill", "-9", before)
    wait_until(lambda: shown(booted, "littoral-serve", "MainPID") not in {before, "0"})
    assert asked(booted) == "0801\n"
    assert shown(booted, "littoral-serve", "NRestarts") == "1"


def test_it_is_off_again_when_the_drop_in_is_gone(booted: Booted) -> None:
    booted.run("rm", LINK)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "stop", "littoral-grpc.socket", "littoral-grpc.service")
    booted.run("systemctl", "restart", "littoral-serve")
    pid = shown(booted, "littoral-serve", "MainPID")
    assert "cygrpc" not in booted.run("cat", f"/proc/{pid}/maps")


def _install_grpcio(booted: Booted) -> None:
    """Stands in for Debian's python3-grpcio."""
    found = find_spec("grpc")
    if found is None or found.origin is None:
        pytest.skip("no grpcio here")
    site = booted.root / "usr/lib/python3/dist-packages"
    folder = Path(found.origin).parent
    shutil.copytree(folder, site / "grpc", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(folder.parent / "typing_extensions.py", site)
