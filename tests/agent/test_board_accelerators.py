"""Accelerators and the libraries that would drive them, told from files alone."""

from pathlib import Path

from littoral_agent.board.accelerators import named, runtimes
from simulators.boards import BoardSimulator


def test_edge_tpus_are_named(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    assert named(tmp_path) == ()
    board.coral(50_000)
    board.stick()
    assert named(tmp_path) == ("Edge TPU, PCIe, apex_0", "Edge TPU, USB, 1-1.2")


def test_gpus_are_named(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.put("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA T4")
    board.put("proc/device-tree/compatible", "nvidia,p3449-0000\0nvidia,tegra210")
    assert named(tmp_path) == ("NVIDIA T4", "Tegra GPU")


def test_runtimes_tell_their_version(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.put(
        "var/lib/dpkg/status",
        "Package: adduser\nVersion: 3.134\n\n"
        "Package: libedgetpu1-std\nStatus: install ok installed\nVersion: 16.0tf2.17.1-1\n",
    )
    board.put("usr/local/cuda/version.json", '{"cuda": {"version": "12.2.140"}}')
    board.put("usr/lib/aarch64-linux-gnu/libnvinfer.so.8.6.2", "")
    board.put("usr/lib/aarch64-linux-gnu/libnvinfer.so.8", "")
    board.put("etc/nv_tegra_release", "# R36 (release), REVISION: 2.0, GCID: 3")
    board.put(
        "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Mon",
    )
    found = runtimes(tmp_path)
    found.pop("ai-edge-litert", None)
    assert found == {
        "libedgetpu": "16.0tf2.17.1-1",
        "cuda": "12.2.140",
        "tensorrt": "8.6.2",
        "l4t": "36.2.0",
        "nvidia": "535.161.08",
    }


def test_a_library_that_no_package_brought_tells_by_its_name(tmp_path: Path) -> None:
    BoardSimulator(tmp_path).put("usr/lib/x86_64-linux-gnu/libedgetpu.so.1.0", "")
    assert runtimes(tmp_path)["libedgetpu"] == "1.0"
