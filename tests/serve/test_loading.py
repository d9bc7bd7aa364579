"""What a release is opened as: its manifest's words hold, or it is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ai_edge_litert")

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError, HashError, MalformedError, StorageError
from littoral.model.backends import Array, Session
from littoral_serve.running import loading, threads
from littoral_serve.running.live import Description, Resources
from littoral_serve.running.loading import Source, match_specs
from littoral_serve.running.memory import Residents
from simulators.loaded import Doubling
from simulators.served import Device, model

X = Tensor(name="x", shape=(1, 2), dtype="int8", scale=0.5, zero_point=3)
Y = replace(X, name="y", scale=0.25)


class Told:
    """A session of a model with one input and one output."""

    inputs, outputs = (X,), (Y,)

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        return inputs


def match(inputs: tuple[Tensor, ...] = (X,), outputs: tuple[Tensor, ...] = (Y,)) -> None:
    match_specs(Told(), inputs, outputs)


def test_names_are_the_manifests_and_a_scale_is_the_same_by_six_digits() -> None:
    match()
    match((replace(X, name="other", scale=0.5 * (1 + 1e-7), layout="NC"),))


@pytest.mark.parametrize(
    "told",
    [
        replace(X, shape=(2, 1)),
        replace(X, dtype="uint8"),
        replace(X, zero_point=4),
        replace(X, scale=0.50001),
    ],
)
def test_a_model_that_is_not_as_its_manifest_says_is_refused(told: Tensor) -> None:
    """Its numbers would be taken for others: no client and no golden vector tells which."""
    with pytest.raises(BackendError, match=r"input 'x': the manifest says .*, the model has int8"):
        match((told,))
    with pytest.raises(BackendError, match=r"output 'x': the manifest says"):
        match(outputs=(told,))


def test_a_model_of_other_inputs_or_outputs_is_refused() -> None:
    with pytest.raises(BackendError, match="the manifest names 2 inputs, the model has 1"):
        match((X, X))
    with pytest.raises(BackendError, match="the manifest names 0 outputs, the model has 1"):
        match(outputs=())


def test_what_is_loaded_is_what_was_signed(tmp_path: Path) -> None:
    device = Device(tmp_path / "data")
    release = device.add("digits", release=7)

    def load(name: str = "digits", variant: str = "cpu-int8") -> Any:
        which = {"manifest": release.sha256, "variant": variant}
        return loading.load(device.tree, model=name, **which, resources=Resources())

    found = load()
    assert (found.model, found.release, found.variant) == ("digits", 7, "cpu-int8")
    assert found.inputs == release.manifest.inputs
    with pytest.raises(MalformedError):
        load(variant="none")
    with pytest.raises(MalformedError):
        load("other")
    blob = device.tree.blob(release.manifest.files["model.tflite"].sha256)
    blob.write_bytes(model("tiny_int8_b"))
    with pytest.raises(HashError):
        load()
    blob.unlink()
    with pytest.raises(StorageError):
        load()


def test_a_signed_manifest_that_says_another_scale_is_refused(tmp_path: Path) -> None:
    device = Device(tmp_path / "data")
    (spec,) = device.add("digits").manifest.inputs
    release = device.add("digits", inputs=(replace(spec, scale=spec.scale * 2),))
    which = {"manifest": release.sha256, "variant": "cpu-int8"}
    with pytest.raises(BackendError, match="the manifest says int8"):
        loading.load(device.tree, model="digits", **which, resources=Resources())


def brought(session: Session, backend: str, **said: Any) -> tuple[Any, list[int]]:
    """Return a release of ``session``, and with how many threads it was opened each time."""
    asked: list[int] = []

    def open_(count: int) -> Session:
        asked.append(count)
        return session

    def describe(one: Session) -> Description:
        told: Any = {"model": "m", "release": 1, "label": "1", "manifest": "", "variant": "v"}
        return Description(inputs=one.inputs, outputs=one.outputs, **told)

    source = Source(open=open_, backend=backend, bytes=10**6)
    return loading.bring(source, Resources(**said), describe), asked


@pytest.mark.parametrize(("backend", "count"), [("litert", 2), ("onnx", 2), ("tensorrt", 1)])
def test_threads_are_the_processors(backend: str, count: int) -> None:
    _, asked = brought(Doubling(), backend, threads=2)
    assert asked == [count]


def test_a_release_takes_at_least_what_its_file_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are mapped, and no growth of the process may show them."""
    monkeypatch.setattr(loading, "resident_bytes", lambda: 5)
    live, _ = brought(Doubling(), "litert", residents=Residents(budget_bytes=10**9))
    assert live.sleeper is not None
    assert live.sleeper.bytes == 10**6
    live, _ = brought(Doubling(), "litert")
    assert live.sleeper is None, "where nothing is bounded, nothing is unloaded"
    grown = iter((0, 3 * 10**6))
    monkeypatch.setattr(loading, "resident_bytes", lambda: next(grown))
    live, _ = brought(Doubling(), "litert", residents=Residents(budget_bytes=10**9))
    assert live.sleeper.bytes == 3 * 10**6


def test_requests_get_their_turn_in_a_load_and_not_in_one_that_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    opened = threads.opened

    def noting(*words: Any, **said: Any) -> threads.Opened:
        rests.append(said["rest_s"])
        return opened(*words, **said)

    monkeypatch.setattr(threads, "opened", noting)
    brought(Doubling(), "litert", rest_s=0.001)
    loading._again(Source(open=lambda _: Doubling(), backend="litert", bytes=1), 1)
    assert rests == [0.001, 0.0]
