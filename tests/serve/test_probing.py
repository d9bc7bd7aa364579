"""The self-test on a release that answers clients: how often it is asked, and who is to blame."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.errors import BackendError, BackendMissingError, UnreachableError
from littoral.model.backends import Array
from littoral.wire.control import Tried
from littoral_serve.running.runners import OnLoop
from littoral_serve.trials import probing
from simulators.loaded import loaded
from simulators.served import HARDWARE, Device, Release, tiny

MS = 1_000_000  # in ns


class Weighing(OnLoop):
    """Takes as long as it is told to, by its own account."""

    def __init__(self, took_ns: int, *, error: BackendError | None = None) -> None:
        super().__init__(tiny())
        self.took_ns, self.error, self.asked = took_ns, error, 0

    async def weigh(self, inputs: tuple[Array, ...]) -> tuple[tuple[Array, ...], int]:
        self.asked += 1
        if self.error is not None and self.asked > 1:
            raise self.error
        return (await super().weigh(inputs))[0], self.took_ns


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def probed(device: Device, release: Release, runner: Weighing) -> Tried:
    manifest = release.manifest
    live = loaded(
        tiny(),
        runner,
        model=manifest.model,
        manifest=release.sha256,
        variant=manifest.variants[0].id,
    )
    return asyncio.run(probing.run(live, tree=device.tree))


def test_a_fast_model_is_asked_often_enough_for_its_p95(device: Device) -> None:
    """There are four golden samples."""
    fast, slow = Weighing(MS), Weighing(2000 * MS)
    told = probed(device, device.add("digits"), fast)
    assert (told.code, told.max_abs, told.p95_cpu_us) == (None, 0.0, 1000.0)
    assert fast.asked > 4
    told = probed(device, device.add("digits"), slow)
    assert (told.code, told.p95_cpu_us) == (None, 2_000_000.0)
    assert 4 < slow.asked < fast.asked


def test_outputs_that_differ_are_told(device: Device) -> None:
    release = device.add("digits")
    files = release.manifest.files | {
        "outputs.bin": device.blob(bytes(release.manifest.files["outputs.bin"].size))
    }
    told = probed(device, device.put(replace(release.manifest, files=files)), Weighing(MS))
    assert told.code == "outputs"


def test_a_model_that_fails_has_failed_and_one_whose_tpu_is_away_has_not(device: Device) -> None:
    release = device.add("digits")
    told = probed(device, release, Weighing(MS, error=BackendError("it broke")))
    assert (told.code, told.detail) == (BackendError.code, "it broke")
    with pytest.raises(UnreachableError, match="digits cannot be probed now: unplugged"):
        probed(device, release, Weighing(MS, error=BackendMissingError("unplugged")))


@pytest.mark.parametrize(
    ("budgets", "code"),
    [
        ({HARDWARE: 500.0, "cpu-aarch64": 900.0}, "latency"),
        ({HARDWARE: 500.0, "cpu-aarch64": 2000.0}, None),
        ({HARDWARE: 500.0}, None),  # the other has none
    ],
)
def test_the_widest_budget_of_the_variants_boards_is_held(
    device: Device, budgets: dict[str, float], code: str | None
) -> None:
    manifest = device.add("digits").manifest
    (variant,) = manifest.variants
    boards = replace(variant.requires, hardware=(HARDWARE, "cpu-aarch64"))
    changed = replace(
        manifest,
        variants=(replace(variant, requires=boards),),
        selftest=replace(manifest.selftest, p95_cpu_us=budgets),
    )
    assert probed(device, device.put(changed), Weighing(MS)).code == code
