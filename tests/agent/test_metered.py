"""Which networks are paid for by the byte, from what a machine's files and its manager say."""

import os
import stat
from pathlib import Path

import pytest

from littoral_agent import child, metered

V4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
ZERO = "0" * 32


def machine(root: Path, *routes: tuple[str, int], kinds: dict[str, str], v6: str = "") -> Path:
    """Lay out what the kernel says of default routes by metric, and of its interfaces."""
    lines = [
        f"{name}\t00000000\t00000000\t0001\t0\t0\t{m}\t00000000\t0\t0\t0" for name, m in routes
    ]
    lines.append("eth0\t0000A8C0\t00000000\t0001\t0\t0\t1\t00FFFFFF\t0\t0\t0")
    (root / "proc/net").mkdir(parents=True)
    (root / "proc/net/route").write_text(V4 + "\n".join(lines) + "\n")
    lo = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo\n"
    (root / "proc/net/ipv6_route").write_text(v6 + lo)
    for name, kind in kinds.items():
        (root / "sys/class/net" / name).mkdir(parents=True)
        said = f"DEVTYPE={kind}\n" if kind else ""
        (root / "sys/class/net" / name / "uevent").write_text(
            f"{said}INTERFACE={name}\nIFINDEX=2\n"
        )
    return root


KINDS = {"eth0": "", "wlan0": "wlan", "wwan0": "wwan", "ppp0": "ppp"}


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([("eth0", 100)], False),
        ([("wlan0", 600)], False),
        ([("wwan0", 700)], True),
        ([("ppp0", 0)], True),
        ([("eth0", 100), ("wwan0", 700)], False),
        ([("wwan0", 50), ("eth0", 100)], True),
        ([], False),
        ([("tun0", 0)], False),
    ],
)
def test_a_modem_is_metered_while_the_default_route_leads_through_it(
    tmp_path: Path, *, routes: list[tuple[str, int]], expected: bool
) -> None:
    assert metered.metered(machine(tmp_path, *routes, kinds=KINDS)) is expected


def test_a_network_of_ipv6_alone_is_seen(tmp_path: Path) -> None:
    v6 = f"{ZERO} 00 {ZERO} 00 fe8{'0' * 28}1 00000400 00000001 00000000 00000003    wwan0\n"
    assert metered.metered(machine(tmp_path, kinds=KINDS, v6=v6)) is True


def test_where_nobody_tells_nothing_is_metered(tmp_path: Path) -> None:
    assert metered.metered(tmp_path) is False
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text("what\nis this\n")
    assert metered.metered(tmp_path) is False


@pytest.mark.parametrize(
    ("said", "modem", "expected"),
    [
        ("u 1", False, True),
        ("u 3", False, True),
        ("u 2", True, False),  # a person said so of this modem
        ("u 4", True, True),  # guessed, perhaps of another interface
        ("u 0", True, True),
        ("", False, False),
    ],
)
def test_who_manages_networks_knows_better(
    tmp_path: Path, *, said: str, modem: bool, expected: bool
) -> None:
    machine(tmp_path, ("wwan0" if modem else "eth0", 100), kinds=KINDS)
    (tmp_path / "run/NetworkManager").mkdir(parents=True)
    assert metered.metered(tmp_path, ask=lambda: said) is expected


def test_nobody_is_asked_where_nobody_manages_networks(tmp_path: Path) -> None:
    def ask() -> str:
        raise AssertionError

    assert metered.metered(machine(tmp_path, ("wwan0", 1), kinds=KINDS), ask=ask) is True


@pytest.mark.parametrize("script", ["echo 'u 1'", "exit 1", "sleep 60"])
def test_a_manager_that_does_not_answer_is_done_without(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busctl = tmp_path / "busctl"
    busctl.write_text(f"#!/bin/sh\n{script}\n")
    busctl.chmod(busctl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(metered, "_ASK", (str(busctl), *metered._ASK[1:]))
    monkeypatch.setattr(metered, "_ASK_S", 0.5)
    machine(tmp_path, ("eth0", 1), kinds=KINDS)
    (tmp_path / "run/NetworkManager").mkdir(parents=True)
    assert metered.metered(tmp_path) is ("u 1" in script)


@pytest.mark.skipif(not os.access("/usr/bin/busctl", os.X_OK), reason="no busctl")
def test_the_question_is_one_that_busctl_takes() -> None:
    """Nobody answers it here, but it is not called misused."""
    said = child.run(metered._ASK, within_s=10)
    assert "Too few arguments" not in said.err
    assert "Unknown" not in said.err
    assert "unrecognized" not in said.err


def test_this_machines_own_files_are_read() -> None:
    found = metered.outward()
    assert found is None or Path("/sys/class/net", found).exists()
