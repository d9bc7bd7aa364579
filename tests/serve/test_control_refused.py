"""Orders that are not followed, by whoever they come, and why."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral.bundle.manifest import Tensor
from simulators.ordered import activate, denied, runs
from simulators.served import HARDWARE, Device, Serve, ask, model, serving


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def serve(device: Device) -> Iterator[Serve]:
    settings = device.tree.root / "serve.toml"
    settings.write_text("window_s = 0.3\n")
    with serving(f"--data={device.tree.root}") as running:
        yield running


def test_a_flipped_bit_on_the_disk_is_found_on_every_load(device: Device, serve: Serve) -> None:
    one, two = device.add("digits"), device.add("digits", release=2, data=model("tiny_int8_b"))
    activate(device, one)
    blob = device.tree.blob(two.manifest.files["model.tflite"].sha256)
    data = bytearray(blob.read_bytes())
    data[5000] ^= 1
    blob.write_bytes(data)
    assert denied(device, "activate", two.order) == (409, "hash")
    assert denied(device, "try", {**two.order, "hardware": HARDWARE}) == (409, "hash")
    blob.write_bytes(data + b"more")
    assert denied(device, "activate", two.order) == (409, "hash")
    assert runs(serve, "tiny_int8")


@pytest.mark.usefixtures("serve")
def test_an_order_that_cannot_be_followed_says_why(device: Device) -> None:
    release = device.add("digits")
    good = release.order
    assert denied(device, "activate", {**good, "manifest": "0" * 64}) == (409, "storage")
    assert denied(device, "activate", {**good, "manifest": "../../x"}) == (409, "malformed")
    assert denied(device, "activate", {**good, "model": "other"}) == (409, "malformed")
    assert denied(device, "activate", {**good, "variant": "tpu"}) == (409, "malformed")
    assert denied(device, "activate", {**good, "extra": 1}) == (400, "malformed")
    assert denied(device, "activate", []) == (400, "malformed")
    assert denied(device, "nonsense", {}) == (404, "usage")
    assert denied(device, "probe", {"model": "digits"}) == (409, "storage")
    forged = device.tree.manifest(release.sha256)
    forged.write_bytes(forged.read_bytes().replace(b'"release":1', b'"release":2'))
    assert denied(device, "activate", good) == (409, "hash")


@pytest.mark.usefixtures("serve")
def test_a_blob_that_is_a_link_or_a_pipe_is_not_followed(device: Device) -> None:
    release = device.add("digits")
    blob = device.tree.blob(release.manifest.files["model.tflite"].sha256)
    elsewhere = blob.rename(blob.with_name("elsewhere"))
    blob.symlink_to(elsewhere)
    assert denied(device, "activate", release.order) == (409, "storage")
    blob.unlink()
    os.mkfifo(blob)
    assert denied(device, "activate", release.order) == (409, "storage")


@pytest.mark.usefixtures("serve")
def test_a_model_that_is_not_what_its_manifest_says_is_refused(device: Device) -> None:
    wrong = Tensor(name="image", shape=(1, 8, 8, 1), dtype="int8", scale=0.5, zero_point=-128)
    release = device.add("digits", inputs=(wrong,))
    assert denied(device, "activate", release.order) == (409, "backend")
    garbage = device.add("digits", data=b"garbage" * 100)
    assert denied(device, "activate", garbage.order) == (409, "backend")


@pytest.mark.usefixtures("serve")
def test_what_nothing_runs_here_is_said_to_be_so(device: Device) -> None:
    needs = {"engine": "onnx", "delegate": "cuda"}
    status, reply = ask(device.tree.control, "POST", "/control/runtime", needs)
    assert (status, reply["code"]) == (409, "backend-missing")
    assert "onnx with cuda" in reply["error"]


@pytest.mark.usefixtures("serve")
def test_clients_cannot_be_answered_here_nor_orders_given_there(device: Device) -> None:
    assert ask(device.tree.control, "GET", "/v1/models/digits")[0] == 404
    status, _ = ask(device.tree.serve, "GET", "/v1/models/digits")
    assert status == 404


STRANGER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(b"GET /control/state HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(peer.recv(1000).decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.usefixtures("serve")
def test_a_stranger_on_the_control_socket_is_refused(device: Device) -> None:
    path = device.tree.control
    assert path.stat().st_mode & 0o777 == 0o660
    path.chmod(0o777)
    for folder in list(path.parents)[:-1]:
        folder.chmod(folder.stat().st_mode | 0o001)
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout.startswith("HTTP/1.1 403")


def test_what_cannot_be_done_for_want_of_descriptors_is_no_releases_fault(
    device: Device, serve: Serve
) -> None:
    """Whichever step they are out at; what the agent cannot read it takes for a bad release."""
    release = device.add("digits")
    pid, codes = serve.process.pid, set()
    most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    order = {**release.order, "hardware": HARDWARE, "deadline_s": 30.0}
    assert ask(device.tree.control, "POST", "/control/try", order)[0] == 200
    used = max(int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir())
    for more in range(2, 40):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + more, most[1]))
        status, reply = ask(device.tree.control, "POST", "/control/try", order)
        codes.add(reply.get("code"))
        if status == 200:
            break
        assert reply["code"] in {"storage", "unreachable"}, reply
    resource.prlimit(pid, resource.RLIMIT_NOFILE, most)
    assert codes == {"storage", "unreachable", None}
    assert ask(device.tree.control, "POST", "/control/activate", release.order)[0] == 200
