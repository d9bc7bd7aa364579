"""Runtimes that work, fail, hang, and take their process down: what doctor makes of each."""

from pathlib import Path

import pytest

from littoral.tree import Tree
from littoral.wire.probes import STEPS, Step
from littoral_agent.child import End
from littoral_agent.doctor import runtimes
from littoral_agent.doctor.finding import Finding, Place
from simulators import edgetpu

GONE = End(status=0, out=b"", err="")
CORAL = ["edgetpu-usb"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A machine with a Coral on USB."""
    root = tmp_path / "root"
    stick = root / "sys/bus/usb/devices/2-1"
    stick.mkdir(parents=True)
    (stick / "idVendor").write_text("18d1\n")
    (stick / "idProduct").write_text("9302\n")
    return Place(Tree(tmp_path / "data"), root)


def test_litert_as_it_is_here(place: Place) -> None:
    pytest.importorskip("ai_edge_litert")
    found = runtimes.litert(place)
    assert found.state == "ok"
    assert "a tiny model gives the right answer" in found.found


@pytest.mark.parametrize(
    ("taken", "status", "words"),
    [
        (("import",), -4, "built for a newer processor"),
        (("import", "load"), -11, "took its process down at 'run': it was ended by SIGSEGV"),
        ((), None, "took its process down at 'import': it did not end in time"),
    ],
)
def test_litert_that_dies(taken: tuple[str, ...], status: int | None, words: str) -> None:
    found = runtimes.judge_litert(
        tuple(Step(step=s) for s in taken), End(status=status, out=b"", err="")
    )
    assert found.state == "fail"
    assert words in found.wrong


def test_a_child_that_never_began_says_nothing_of_the_runtime() -> None:
    """As where this user may not start the Python that root has."""
    end = End(status=126, out=b"", err="exec: Permission denied")
    for found in (
        runtimes.judge_litert((), end),
        runtimes.judge_edgetpu((), end, corals=CORAL, package=""),
        runtimes.judge_nvidia((), end),
    ):
        assert found.state == "warn"
        assert "could not be tried: it ended with 126: exec: Permission denied" in found.wrong


def test_litert_that_is_missing() -> None:
    error = "No module named 'ai_edge_litert'"
    found = runtimes.judge_litert((Step(step="import", error=error),), GONE)
    assert (found.state, error in found.wrong) == ("fail", True)
    assert "install" in found.do


@pytest.mark.parametrize(
    ("faults", "state", "words"),
    [
        ((), "ok", "works with LiteRT on usb /sys/bus/usb/devices/2-1"),
        (("NO_PROGRAM",), "ok", "LiteRT can use it on usb"),
        (("OLD_ABI",), "fail", "it was built against another TensorFlow Lite"),
        (("OLD_ABI", "CRASHES"), "fail", "it was built against another TensorFlow Lite"),
        (("ABORTS",), "fail", "the Coral was lost at 'run': F driver/usb/usb_driver.cc:406]"),
        (("CANNOT_OPEN",), "warn", "another program uses it, or this user may not"),
        (("NO_DEVICES",), "fail", "the library does not see it"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_every_way_in_which_the_edge_tpus_library_ends(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    faults: tuple[str, ...],
    state: str,
    words: str,
) -> None:
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(edgetpu.build(tmp_path, *faults)))
    found = runtimes.edgetpu(place)
    assert found.state == state
    assert words in found.found + found.wrong
    assert "runtime 14" in found.found
    assert bool(found.do) is (state != "ok")


def test_a_coral_that_hangs_is_told_by_the_step_that_it_hangs_in(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(edgetpu.build(tmp_path, "HANGS")))
    monkeypatch.setattr(runtimes, "_CHILD_S", 1.0)
    found = runtimes.edgetpu(place)
    assert found.state == "fail"
    assert found.wrong == "it does not answer at 'version': the Coral hangs"


def test_no_library_is_wrong_only_where_there_is_a_coral(place: Place, tmp_path: Path) -> None:
    found = runtimes.edgetpu(place)
    assert found.state == "fail"
    assert "a Coral is here (edgetpu-usb), and its library is not" in found.wrong
    assert "libedgetpu1-std_*.deb" in found.do
    assert runtimes.edgetpu(Place(place.tree, tmp_path / "bare")).state == "skip"


def judged(package: str, *, corals: list[str], label: str = "RuntimeVersion(14)") -> Finding:
    values = {"version": label, "devices": ""}
    taken = tuple(Step(step=s, value=values.get(s, "")) for s in ("library", "version", "devices"))
    return runtimes.judge_edgetpu(taken, GONE, corals=corals, package=package)


@pytest.mark.parametrize("package", ["16.0", "15.0", "16.0tf2.13.1-2"])
def test_a_library_that_is_too_old_is_told_by_its_name(package: str) -> None:
    assert judged(package, corals=CORAL).state == "fail"
    found = judged(package, corals=[])
    assert found.state == "warn"
    assert f"{package} was built against a TensorFlow before 2.14" in found.wrong


def test_a_library_without_a_coral_to_try_it_on() -> None:
    found = judged("16.0TF2.17.1-1.bookworm", corals=[])
    assert found.state == "ok"
    assert "was not tried" in found.found
    label = "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted), RuntimeVersion(14)"
    assert judged("", corals=[], label=label).state == "warn"


def test_an_operator_that_is_left_unresolved_is_another_abi() -> None:
    """What lies beyond its registration happens to be nothing: the library is passed over."""
    error = "Encountered an unresolved custom op. Did you miss a custom op or delegate?"
    steps = [Step(step=s, value="usb 2-1") for s in STEPS["edgetpu"][:-1]]
    taken = (*steps, Step(step="run", error=error))
    found = runtimes.judge_edgetpu(taken, GONE, corals=CORAL, package="")
    assert found.state == "fail"
    assert "it was built against another TensorFlow Lite" in found.wrong


def nvidia(**said: str) -> Finding:
    found = {"driver": "12.2", "device": "Orin (nvgpu)", "cuda": "", "cudnn": "", "tensorrt": ""}
    taken = tuple(Step(step=s, value={**found, **said}[s]) for s in STEPS["nvidia"])
    return runtimes.judge_nvidia(taken, GONE)


def test_nvidias_libraries_are_told_by_their_versions(place: Place) -> None:
    found = nvidia(cuda="12.2", cudnn="8904", tensorrt="8.6.2")
    assert found.state == "ok"
    assert (
        "Orin (nvgpu), driver for CUDA 12.2, CUDA 12.2, cuDNN 8904, TensorRT 8.6.2" in found.found
    )
    found = nvidia(cuda="12.2")
    assert (found.state, "not found: cuDNN, TensorRT" in found.wrong) == ("warn", True)
    assert runtimes.nvidia(place).state == "skip"


def test_an_nvidia_gpu_without_its_driver(place: Place) -> None:
    card = place.root / "sys/bus/pci/devices/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "vendor").write_text("0x10de\n")
    (card / "class").write_text("0x030000\n")
    found = runtimes.nvidia(place)
    assert found.state == "fail"
    assert "libcuda.so.1" in found.wrong
