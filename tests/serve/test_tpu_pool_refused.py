"""Models that no TPU will have, and what is said of them."""

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert")

from littoral.errors import BackendError, BackendMissingError
from littoral_serve.tpu.life import State
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.pool import Pool
from simulators import edgetpu
from simulators.edgetpu import Sticks
from simulators.pooled import COMPILED, LIMITS, model, pooled, run, until


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgetpu.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def sticks(library: Path, monkeypatch: pytest.MonkeyPatch) -> Sticks:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    return edgetpu.plugged(library)


@pytest.mark.parametrize("faults", [("CANNOT_OPEN",), ("NO_DEVICES",)])
def test_no_tpu_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(edgetpu.build(tmp_path, *faults)))

    async def use(pool: Pool, one: Model) -> None:
        assert isinstance(await run(pool, one), BackendMissingError)
        assert not pool.holds(one)
        assert one.refusal is None

    pooled(use, tmp_path)


@pytest.mark.parametrize(
    ("faults", "code", "words"),
    [
        (("OLD_ABI", "CRASHES"), "crash", "3 processes ended while they loaded it"),
        (("IDLE",), "not-delegated", "took over none of its operators"),
        (("NO_PROGRAM",), "backend", "Missing raw model data"),
        (("ABORTS",), "crash", "3 processes ended"),
    ],
)
def test_a_model_that_no_tpu_will_have_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...], code: str, words: str
) -> None:
    """As with a library that was built against an older TensorFlow, which ends the process."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(edgetpu.build(tmp_path, *faults)))

    async def use(pool: Pool, one: Model) -> None:
        await until(lambda: one.refusal is not None, one=one)
        assert isinstance(await run(pool, one), BackendMissingError)
        assert one.refusal is not None
        assert one.refusal.code == code
        assert words in str(one.refusal)
        await until(lambda: pool.seats[0].state is State.READY, one=one)

    pooled(use, tmp_path)


def test_a_model_for_a_newer_runtime_is_refused_in_words(sticks: Sticks, tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers")
    from simulators.edgetpu_compiled import Package, compiled

    tiny = (Path(__file__).parents[1] / "fixtures/tiny_int8.tflite").read_bytes()
    sticks.version(13)
    data = compiled(tiny, package=Package(runtime=14))

    async def use(pool: Pool, one: Model) -> None:
        assert isinstance(await run(pool, one), BackendMissingError)
        assert one.refusal is not None
        assert one.refusal.code == "wrong-runtime"
        assert "compiled for runtime version 14" in str(one.refusal)
        assert "13 is here" in str(one.refusal)

    pooled(use, tmp_path, data=data)


@pytest.mark.usefixtures("sticks")
def test_a_file_with_other_bytes_is_never_loaded(tmp_path: Path) -> None:
    async def work() -> None:
        pool, one = Pool(limits=LIMITS), model(folder=tmp_path)
        (tmp_path / "model.tflite").write_bytes(COMPILED[:-1] + b"x")
        pool.add(one)
        assert isinstance(await run(pool, one), BackendError)
        assert "sha256" in str(one.refusal)
        await pool.close()

    asyncio.run(work())
