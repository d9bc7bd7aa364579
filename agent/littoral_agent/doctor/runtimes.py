"""LiteRT, the Edge TPU's library and NVIDIA's: each is tried in a child, which it may take down.

The child says step by step how far it came (littoral.wire.probes). What an end means is decided
here, by functions of what was said.
"""

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from littoral.board.files import found, text
from littoral.wire import probes
from littoral.wire.probes import Runtime, Step
from littoral_agent import child, hardware
from littoral_agent.board import accelerators
from littoral_agent.child import End
from littoral_agent.doctor.finding import Finding, Place, fail, ok, skip, warn

WITHIN_S: Final = 40.0  # a slow card, and five programs that start at once
_CHILD_S: Final = 30.0
_LEAST_TENSORFLOW: Final = (2, 14)  # from here on its delegates are as LiteRT 2 wants them
_GET_EDGETPU: Final = (
    "get libedgetpu1-std of this system from https://github.com/feranick/libedgetpu/releases\n"
    "sudo apt-get install ./libedgetpu1-std_*.deb"
)
_NVIDIA_PCI: Final = "0x10de"


def litert(_: Place) -> Finding:
    """Let a child load LiteRT and run a tiny model."""
    return judge_litert(*_probe("litert"))


def edgetpu(place: Place) -> Finding:
    """Let a child load libedgetpu, and the library take over an operator."""
    version = accelerators.runtimes(place.root).get("libedgetpu", "")
    corals = [name for name in hardware.detect(place.root) if name.startswith("edgetpu")]
    taken, end = _probe("edgetpu")
    return judge_edgetpu(taken, end, corals=corals, package=version)


def nvidia(place: Place) -> Finding:
    """Let a child ask NVIDIA's driver, CUDA and TensorRT for themselves."""
    if not _has_nvidia(place.root):
        return skip("no NVIDIA device is here")
    return judge_nvidia(*_probe("nvidia"))


def judge_litert(taken: tuple[Step, ...], end: End) -> Finding:
    """Say what the steps of the child that tried LiteRT, and its end, mean."""
    if _untried(taken, end):
        return _untriable("LiteRT", end)
    at = _said(taken)
    error = next((step.error for step in taken if step.error), None)
    reinstall = (
        "sudo apt-get install --reinstall littoral-agent  # else: pip install 'littoral[serve]'"
    )
    if error is not None:
        what = "does not load" if taken[-1].step == "import" else "does not run"
        return fail(at.get("import", "nothing"), f"LiteRT {what}: {error}", do=reinstall)
    if end.status == -signal.SIGILL:
        return fail(
            "LiteRT", "it was built for a newer processor than this one", do="use another board"
        )
    if (step := probes.missing("litert", taken)) is not None:
        return fail("LiteRT", f"it took its process down at '{step}': {_end(end)}", do=reinstall)
    return ok(f"LiteRT {at['import']}; a tiny model gives the right answer; {at['run']}")


def judge_edgetpu(
    taken: tuple[Step, ...], end: End, *, corals: Sequence[str], package: str
) -> Finding:
    """Say what became of the child that tried libedgetpu; ``package`` is its version for Debian."""
    if _untried(taken, end):
        return _untriable("libedgetpu", end)
    at = _said(taken)
    last = taken[-1] if taken else Step(step="library")
    if last.step == "library" and last.error is not None:
        if not corals:
            return skip("libedgetpu is not installed, and no Coral is here")
        wrong = f"a Coral is here ({', '.join(corals)}), and its library is not: {last.error}"
        return fail("no libedgetpu.so.1", wrong, do=_GET_EDGETPU)
    said = f"{at.get('library') or 'libedgetpu.so.1'} {package}".strip()
    said += f", {_short(at['version'])}" if at.get("version") else ""
    if _old(package, at.get("version", "")):
        # Also without a stick to try it on: the day that one is plugged in would be too late.
        tell = fail if corals else warn
        return tell(said, _old_words(package), do=_GET_EDGETPU)
    if (step := probes.missing("edgetpu", taken)) is None or last.error is not None:
        return _edgetpu_answer(said, last, devices=at.get("devices", ""))
    unseen = last.step == "devices" and not last.value
    return _no_devices(said, corals) if unseen else _edgetpu_crash(said, step, end)


def judge_nvidia(taken: tuple[Step, ...], end: End) -> Finding:
    """Say what the driver and the libraries told."""
    if _untried(taken, end):
        return _untriable("CUDA", end)
    at = _said(taken)
    error = next((step.error for step in taken if step.error), None)
    if error is not None:
        do = "sudo apt-get install nvidia-jetpack  # on other machines: the driver of your GPU"
        return fail(at.get("driver", "no driver"), f"CUDA cannot be used: {error}", do=do)
    if (step := probes.missing("nvidia", taken)) is not None:
        return fail("CUDA", f"it took its process down at '{step}': {_end(end)}", do="sudo dmesg")
    said = f"{at['device']}, driver for CUDA {at['driver']}"
    named = (("CUDA", "cuda"), ("cuDNN", "cudnn"), ("TensorRT", "tensorrt"))
    said += "".join(f", {name} {at[step]}" for name, step in named if at[step])
    lacking = [name for name, step in named if not at[step]]
    if lacking:
        do = "sudo apt-get install nvidia-jetpack  # on other machines: the packages of these names"
        return warn(said, f"not found: {', '.join(lacking)}; models for cuda or tensorrt", do=do)
    return ok(said)


def _edgetpu_answer(said: str, last: Step, *, devices: str) -> Finding:
    error = last.error
    if error is None:
        return ok(f"{said}; works with LiteRT on {devices}")
    if "unresolved custom op" in error:
        return fail(said, "it was built against another TensorFlow Lite: " + error, do=_GET_EDGETPU)
    match last.step:
        case "prepare" | "run":  # it has taken the operator over, and there is nothing to run
            return ok(f"{said}; LiteRT can use it on {devices}")
        case "open":
            return warn(
                f"{said}, {devices}",
                "the Coral cannot be opened: another program uses it, or this user may not",
                do="sudo littoral doctor; then: sudo fuser -v /dev/apex_0 /dev/bus/usb/*/*",
            )
        case "litert":
            return warn(said, f"it cannot be tried without LiteRT: {error}", do="littoral doctor")
        case _:
            return fail(said, f"it is no whole libedgetpu: {error}", do=_GET_EDGETPU)


def _no_devices(said: str, corals: Sequence[str]) -> Finding:
    if not corals:
        return ok(f"{said}; no Coral is plugged in, so that it was not tried with LiteRT")
    wrong = f"a Coral is here ({', '.join(corals)}), and the library does not see it"
    return fail(said, wrong, do="littoral doctor --all  # says what the kernel and udev make of it")


def _edgetpu_crash(said: str, step: str, end: End) -> Finding:
    if end.status is None:
        wrong = f"it does not answer at '{step}': the Coral hangs"
        return fail(said, wrong, do="unplug the Coral and plug it in again; on PCIe: reboot")
    if re.search(r"usb_driver|USB transfer|LibUsb", end.err):
        return fail(
            said,
            f"the Coral was lost at '{step}': {end.last}",
            do="use the cable that came with it, a port of USB 3, and a stronger power supply",
        )
    wrong = f"it took its process down at '{step}': {_end(end)}"
    if step in ("prepare", "run"):
        wrong += "; it was built against another TensorFlow Lite than LiteRT expects"
    return fail(said, wrong, do=_GET_EDGETPU)


def _old(package: str, label: str) -> bool:
    """Tell Google's build of 2021, and others that are too old, by their names alone."""
    built = re.search(r"tf(\d+)\.(\d+)", package.lower())
    if built:
        return (int(built[1]), int(built[2])) < _LEAST_TENSORFLOW
    return "COMPILER=6.3.0" in label or package.startswith(("13.", "14.", "15.", "16.0"))


def _old_words(package: str) -> str:
    least = ".".join(map(str, _LEAST_TENSORFLOW))
    which = f"{package} was" if package else "it was"
    return f"{which} built against a TensorFlow before {least}; LiteRT crashes with it"


def _short(label: str) -> str:
    found = re.search(r"RuntimeVersion\((\d+)\)", label)
    return f"runtime {found[1]}" if found else label[:60]


def _untried(taken: tuple[Step, ...], end: End) -> bool:
    """Whether the child ended by itself before its first step: that is not the runtime's doing."""
    return not taken and end.status is not None and end.status > 0


def _untriable(what: str, end: End) -> Finding:
    return warn("nothing", f"{what} could not be tried: {_end(end)}", do="sudo littoral doctor")


def _said(taken: tuple[Step, ...]) -> dict[str, str]:
    return {step.step: step.value for step in taken if step.error is None}


def _end(end: End) -> str:
    return f"{end.how}: {end.last}" if end.last else end.how


def _probe(runtime: Runtime) -> tuple[tuple[Step, ...], End]:
    end = child.python("littoral.model.probing", runtime, within_s=_CHILD_S)
    return probes.read(end.out), end


def _has_nvidia(root: Path) -> bool:
    if (root / "proc/driver/nvidia/version").exists() or (root / "etc/nv_tegra_release").exists():
        return True
    if "nvidia,tegra" in (text(root / "proc/device-tree/compatible") or ""):
        return True
    return any(
        text(device / "vendor") == _NVIDIA_PCI and (text(device / "class") or "").startswith("0x03")
        for device in found(root, "sys/bus/pci/devices/*")
    )
