"""Pictures over the wire, by the clients that people have; a real serve, real pictures."""

import base64
import io
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from PIL import Image

from littoral.model.backends import open_session
from littoral.model.tasks import pictures
from patience import patient
from simulators import detectors
from simulators.served import FIXTURES, Device, Serve, serving

CAT = Path(__file__).parents[3] / "shared/data/images/cat.bmp"
MODELS = CAT.parents[2] / "models/coral"
KWS = CAT.parents[2] / "models/mlperf_tiny/kws_ref_model_int8.tflite"
SQUARES = detectors.picture()
WIDE = detectors.picture(1280, 1000, "JPEG")

shared = pytest.mark.skipif(not CAT.is_file(), reason="needs the shared models and pictures")


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    device = Device(tmp_path_factory.mktemp("device"))
    device.good(detectors.release(device))
    (device.tree.root / "serve.toml").write_text("max_picture_pixels = 2_000_000\n")
    options = [f"--model=digits={FIXTURES / 'tiny_int8.tflite'}"]
    options += [f"--model=two={FIXTURES / 'two_int8.tflite'}"]
    if CAT.is_file():
        options.append(f"--model=masks={MODELS / 'deeplabv3_mnv2_dm05_pascal_quant.tflite'}")
        options.append(f"--model=words={KWS}")
        options.append(f"--model=poses={MODELS / 'movenet_single_pose_lightning_ptq.tflite'}")
    with serving("--data", str(device.tree.root), *options) as one:
        yield one


def post(serve: Serve, path: str, body: Any, kind: str = "image/png") -> requests.Response:
    if not isinstance(body, bytes):
        return requests.post(f"{serve.url}{path}", json=body, timeout=patient(20))
    headers = {"Content-Type": kind}
    return requests.post(f"{serve.url}{path}", body, headers=headers, timeout=patient(20))


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


SQUARES_FOUND = {
    "detection_boxes": [[0.5, 0.5, 0.875, 0.875], [0.125, 0.25, 0.5, 0.625]],
    "detection_classes": [1, 0],
    "detection_classes_as_text": ["blue", "red"],
    "num_detections": 2,
}


def found(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without its scores, which are sure."""
    assert all(score > 0.9 for score in row["detection_scores"])
    return {key: value for key, value in row.items() if key != "detection_scores"}


def test_a_file_is_answered_with_what_is_in_it(serve: Serve) -> None:
    reply = post(serve, "/v1/models/squares:predict", SQUARES)
    assert reply.status_code == 200
    (row,) = reply.json()["predictions"]
    assert found(row) == SQUARES_FOUND


def test_coordinates_are_the_pictures_and_not_the_inputs(serve: Serve) -> None:
    (row,) = post(serve, "/v1/models/squares:predict", WIDE, "image/jpeg").json()["predictions"]
    red = row["detection_boxes"][row["detection_classes_as_text"].index("red")]
    assert red == pytest.approx([0.02, 0.25, 0.5, 0.625])


@pytest.mark.parametrize("named", [False, True])
def test_rows_of_base64_come_back_as_rows(serve: Serve, *, named: bool) -> None:
    files = [{"image_bytes": b64(f)} if named else b64(f) for f in (SQUARES, WIDE)]
    body = {"signature_name": "image", "instances": files}
    first, second = post(serve, "/v1/models/squares:predict", body).json()["predictions"]
    assert found(first) == SQUARES_FOUND
    assert second["num_detections"] == 2


@pytest.mark.parametrize("inputs", [b64(SQUARES), {"image_bytes": [b64(SQUARES)]}, [b64(SQUARES)]])
def test_columns_come_back_as_columns(serve: Serve, inputs: Any) -> None:
    body = {"inputs": inputs, "signature_name": "image"}
    outputs = post(serve, "/v1/models/squares:predict", body).json()["outputs"]
    assert outputs["num_detections"] == [2]
    assert outputs["detection_classes_as_text"] == [["blue", "red"]]


def test_rows_of_different_lengths_are_filled_up(serve: Serve) -> None:
    blank = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(blank, "BMP")
    body = {"signature_name": "image", "instances": [b64(blank.getvalue()), b64(SQUARES)]}
    empty, full = post(serve, "/v1/models/squares:predict", body).json()["predictions"]
    assert (empty["num_detections"], full["num_detections"]) == (0, 2)
    assert empty["detection_classes_as_text"] == ["", ""]
    assert empty["detection_boxes"] == [[0] * 4] * 2


def digit() -> tuple[bytes, int, float]:
    """Return a picture, and which digit the model takes it for, and how surely."""
    pixels = np.random.default_rng(5).integers(0, 256, (8, 8)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    session = open_session("litert", (FIXTURES / "tiny_int8.tflite").read_bytes())
    (scores,) = session.run((pixels[None, ..., None].astype(int) - 128).astype(np.int8))
    (spec,) = session.outputs
    best = int(scores.argmax())
    return out.getvalue(), best, (int(scores[0, best]) - spec.zero_point) * spec.scale


def test_a_classifier_names_the_surest_classes(serve: Serve) -> None:
    file, best, score = digit()
    (row,) = post(serve, "/v1/models/digits:predict", file).json()["predictions"]
    assert len(row["classes"]) == len(row["scores"]) == 5
    assert (row["classes"][0], row["scores"][0]) == (str(best), pytest.approx(score))
    (row,) = post(serve, "/v1/models/digits:predict?top=2", file).json()["predictions"]
    assert len(row["classes"]) == 2


def test_classify_takes_files_and_examples(serve: Serve) -> None:
    file, best, score = digit()
    pair = [str(best), pytest.approx(score)]
    (pairs,) = post(serve, "/v1/models/digits:classify", file).json()["results"]
    assert pairs[0] == pair
    examples = {"examples": [{"image/encoded": b64(file)}] * 2}
    first, second = post(serve, "/v1/models/digits:classify", examples).json()["results"]
    assert first == second
    assert first[0] == pair


def test_a_threshold_asks_for_the_surer(serve: Serve) -> None:
    reply = post(serve, "/v1/models/squares:predict?threshold=0.999", SQUARES).json()
    assert reply["predictions"][0]["num_detections"] == 0


def test_the_open_inference_protocol_takes_a_file(serve: Serve) -> None:
    reply = post(serve, "/v2/models/squares/infer?top=1", SQUARES).json()
    assert (reply["model_name"], reply["model_version"]) == ("squares", "1")
    outputs = {one["name"]: one for one in reply["outputs"]}
    assert outputs["detection_classes_as_text"] == {
        "name": "detection_classes_as_text",
        "datatype": "BYTES",
        "shape": [1, 1],
        "data": ["blue"],
    }
    assert outputs["detection_boxes"]["shape"] == [1, 1, 4]
    assert outputs["num_detections"]["datatype"] == "INT64"


@pytest.mark.parametrize("behind", [0, 400_000], ids=["small", "large"])
@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_sends_pictures_as_bytes(serve: Serve, *, binary: bool, behind: int) -> None:
    with triton.InferenceServerClient(serve.ready["http"]) as client:
        given = triton.InferInput("image_bytes", [2], "BYTES")
        files = [SQUARES, WIDE + bytes(behind)]  # which is no part of the picture
        if not binary:
            files = [base64.b64encode(file) for file in files]
        given.set_data_from_numpy(np.array(files, object), binary_data=binary)
        reply = client.infer("squares", [given], request_id="7")
        assert reply.get_response()["id"] == "7"
        texts = reply.as_numpy("detection_classes_as_text").tolist()
        assert [sorted(row) for row in texts] == [[b"blue", b"red"]] * 2
        assert reply.as_numpy("detection_boxes").shape == (2, 2, 4)
        wanted = [triton.InferRequestedOutput("num_detections", binary_data=False)]
        reply = client.infer("squares", [given], outputs=wanted)
        assert [one["name"] for one in reply.get_response()["outputs"]] == ["num_detections"]
        assert reply.as_numpy("num_detections").tolist() == [2, 2]


def test_metadata_tells_what_comes_back(serve: Serve) -> None:
    reply = requests.get(f"{serve.url}/v1/models/squares/metadata", timeout=patient(20)).json()
    image = reply["metadata"]["signature_def"]["signature_def"]["image"]
    assert image["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    kinds = {name: one["dtype"] for name, one in image["outputs"].items()}
    assert kinds.keys() == {*SQUARES_FOUND, "detection_scores"}
    assert kinds["detection_classes"] == "DT_INT64"
    assert kinds["detection_classes_as_text"] == "DT_STRING"
    reply = requests.get(f"{serve.url}/v1/models/two/metadata", timeout=patient(20)).json()
    assert "image" not in reply["metadata"]["signature_def"]["signature_def"]
    reply = requests.get(f"{serve.url}/v1/models/digits/metadata", timeout=patient(20)).json()
    assert "image" in reply["metadata"]["signature_def"]["signature_def"]  # gray, and square


@shared
def test_what_may_hear_offers_nobody_to_look_and_answers_who_asks(serve: Serve) -> None:
    """A keyword spotter's spectrum has the shape of a gray picture."""
    reply = requests.get(f"{serve.url}/v1/models/words/metadata", timeout=patient(20)).json()
    signatures = reply["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == ["float", "raw", "serving_default"]
    (row,) = post(serve, "/v1/models/words:predict", CAT.read_bytes()).json()["predictions"]
    assert len(row["classes"]) == 5


@shared
def test_a_mask_is_a_picture_of_classes(serve: Serve) -> None:
    (row,) = post(serve, "/v1/models/masks:predict", CAT.read_bytes()).json()["predictions"]
    with Image.open(io.BytesIO(base64.b64decode(row["mask_bytes"]["b64"]))) as mask:
        assert (mask.mode, mask.size) == ("P", (513, 513))
        classes, counts = np.unique(np.asarray(mask), return_counts=True)
    assert classes.tolist() == [0, 8]
    assert row["classes"] == ["0", "8"]
    assert row["parts"] == pytest.approx((counts / 513**2).tolist())
    assert row["mask_boxes"] == [0, 0, 1, 1]


@shared
def test_keypoints_come_by_person(serve: Serve) -> None:
    file = CAT.with_name("squat.bmp").read_bytes()
    reply = post(serve, "/v2/models/poses/infer", file).json()
    shapes = {one["name"]: one["shape"] for one in reply["outputs"]}
    assert shapes == {"keypoints": [1, 1, 17, 3], "pose_scores": [1, 1]}


def bomb() -> bytes:
    """Return a PNG of few bytes that says it is of 30,000 by 30,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"GIF89a nothing", "expected a picture (JPEG, PNG, BMP), found none"),
        (b"", "found none"),
        (SQUARES[: len(SQUARES) // 2], "damaged or cut short"),
        (SQUARES.translate(None, b"\0\r\n"), "only its beginning is one (curl: --data-binary"),
        (bomb(), "expected at most 2000000 pixels"),
    ],
)
def test_what_is_no_picture_is_the_clients_mistake(serve: Serve, body: bytes, why: str) -> None:
    for path in ("/v1/models/squares:predict", "/v2/models/squares/infer"):
        reply = post(serve, path, body)
        assert reply.status_code == 400
        assert why in reply.json()["error"]


def test_who_forgets_to_say_that_it_is_a_picture_is_told(serve: Serve) -> None:
    for path in ("/v2/models/squares/infer", "/v1/models/squares:predict"):
        reply = post(serve, path, SQUARES, kind="application/x-www-form-urlencoded")
        assert reply.json()["error"].endswith("this is a picture: say so, Content-Type: image/jpeg")
    for instance in (b64(SQUARES), {"image_bytes": b64(SQUARES)}):
        reply = post(serve, path, {"instances": [instance]})
        assert reply.json()["error"].endswith('a picture goes with "signature_name": "image"')
    reply = requests.post(serve.url + path, files={"file": SQUARES}, timeout=patient(20))
    assert reply.json()["error"].endswith("(curl: --data-binary, not -F)")


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/v1/models/two:predict", SQUARES, "'two' takes no pictures: a picture is for a model"),
        ("/v1/models/squares:predict?top=0", SQUARES, "top: expected a number from 1 to 1000"),
        ("/v1/models/squares:predict?threshold=x", SQUARES, "threshold: expected"),
        ("/v1/models/squares:classify", SQUARES, "Expected a model that classifies"),
        ("/v1/models/squares:predict", {"signature_name": "image"}, "Missing 'inputs'"),
        ("/v1/models/squares:predict", {"signature_name": "image", "instances": []}, "1 to "),
        ("/v1/models/squares:predict", {"signature_name": "image", "instances": 3}, "a list"),
        ("/v1/models/squares:predict", {"signature_name": "image", "instances": [3]}, "b64"),
        (
            "/v1/models/squares:predict",
            {"signature_name": "image", "instances": [{"b64": "?"}]},
            "Unable to base64 decode",
        ),
        (
            "/v1/models/squares:predict",
            {"signature_name": "image", "instances": [b64(b"")] * 2000},
            "expected 1 to 1365 pictures at once, found 2000",
        ),
        (
            "/v1/models/digits:classify",
            {"examples": [{"image/encoded": b64(SQUARES)}, {"image": [1.0]}]},
            "once in each example",
        ),
    ],
)
def test_what_cannot_be_answered_says_why(serve: Serve, path: str, body: Any, why: str) -> None:
    reply = post(serve, path, body)
    assert reply.status_code == 400, reply.text
    assert why in reply.json()["error"]


def infer(**changes: Any) -> dict[str, Any]:
    given = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": ["AAAA"]}
    return {"inputs": [{**given, **changes}]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (infer(shape=[2]), "unexpected shape for pictures: expected [1]"),
        (infer(data="AAAA"), "Unable to parse 'data'"),
        (infer(data=[3]), "pictures in JSON are base64"),
        (infer(parameters={"binary_data_size": 9}), "expected 0 bytes behind the head"),
        (infer() | {"parameters": {"top": "many"}}, "top: expected"),
        (infer() | {"parameters": {"timeout": -1}}, "Unable to parse 'timeout'"),
        (infer() | {"id": 3}, "Unable to parse 'id'"),
        (infer() | {"outputs": 3}, "Unable to parse 'outputs'"),
        ({"inputs": infer()["inputs"] * 2}, "one input of datatype BYTES"),
    ],
)
def test_a_mistake_in_the_open_inference_protocol_is_told(
    serve: Serve, body: dict[str, Any], why: str
) -> None:
    reply = post(serve, "/v2/models/squares/infer", body)
    assert reply.status_code == 400
    assert why in reply.json()["error"]


def test_an_output_that_there_is_not_is_told(serve: Serve) -> None:
    body = infer(data=[b64(SQUARES)["b64"]]) | {"outputs": [{"name": "classes"}]}
    reply = post(serve, "/v2/models/squares/infer", body)
    assert (reply.status_code, "output 'classes'" in reply.json()["error"]) == (400, True)


def test_lengths_beyond_the_data_are_told(serve: Serve) -> None:
    for data in (b"\1", struct.pack("<I", 2**31) + b"x", struct.pack("<I", 4) + b"abc"):
        head = json.dumps(infer(data=None, parameters={"binary_data_size": len(data)})).encode()
        reply = requests.post(
            f"{serve.url}/v2/models/squares/infer",
            head + data,
            headers={"Inference-Header-Content-Length": str(len(head))},
            timeout=patient(20),
        )
        assert reply.status_code == 400
        assert "longer than what is left" in reply.json()["error"]


def test_only_three_kinds_are_decoded_for_clients(serve: Serve) -> None:
    for kind, status in (("BMP", 200), ("JPEG", 200), ("PNG", 200), ("GIF", 400), ("TIFF", 400)):
        out = io.BytesIO()
        Image.open(io.BytesIO(SQUARES)).save(out, kind)
        reply = post(serve, "/v1/models/squares:predict", out.getvalue())
        assert reply.status_code == status, kind
    assert len(pictures.KINDS) == 3


def test_others_are_answered_while_pictures_are_decoded(serve: Serve) -> None:
    """Ten large pictures take seconds of the one thread; the loop is nobody's."""
    large = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1400, 1400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(large, "PNG", compress_level=1)
    statuses: list[int] = []

    def send() -> None:
        statuses.append(post(serve, "/v1/models/squares:predict", large.getvalue()).status_code)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    between = 0
    with requests.Session() as session:
        while any(thread.is_alive() for thread in threads):
            reply = session.get(f"{serve.url}/v1/models/digits", timeout=patient(20))
            assert reply.status_code == 200
            between += 1
    for thread in threads:
        thread.join()
    assert statuses == [200] * 6
    assert between > 6


def test_pictures_are_counted_as_requests(serve: Serve) -> None:
    def counted() -> list[int]:
        url = f"{serve.url}/v2/models/squares/stats"
        (one,) = requests.get(url, timeout=patient(20)).json()["model_stats"]
        stats = one["inference_stats"]
        return [stats[k]["count"] for k in ("success", "compute_input")]

    before = counted()
    post(serve, "/v1/models/squares:predict", SQUARES)
    post(serve, "/v1/models/squares:predict", b"no picture")
    assert counted() == [n + 1 for n in before]
