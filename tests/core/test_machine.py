"""How a machine is called in manifests."""

import platform

import pytest

from littoral import machine


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("x86_64", "cpu-x86_64"),
        ("arm64", "cpu-aarch64"),
        ("aarch64", "cpu-aarch64"),
        ("riscv64", None),
    ],
)
def test_this_machines_name_as_hardware(
    monkeypatch: pytest.MonkeyPatch, told: str, name: str | None
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: told)
    assert machine.cpu() == name
