"""A console with a fleet that lived for two days: what the pages' tests look at.

Everything came in by the console's own ways: a repository that is signed and uploaded, boards
that enrolled, rollouts that were pushed, messages that devices would send. Only the times are
made up. Some words are an attacker's: they must be shown as text (in pictures they are not).
"""

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from console import climate
from littoral import records
from littoral.bundle.baseline import Baseline, Confidence, Distribution
from littoral.bundle.manifest import (
    FORMAT,
    NAME,
    File,
    Hardware,
    Manifest,
    Requires,
    Selftest,
    Tensor,
    Tolerance,
    Variant,
)
from littoral.trust import writer
from littoral.trust.keys import new_device_key
from littoral.wire import drift
from littoral.wire.enrolment import EnrollRequest
from littoral.wire.messages import Key, Report, Running, Status
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Series, Telemetry
from littoral.wire.update import Update
from littoral_console import (
    accounts,
    catalogue,
    claims,
    enrolment,
    ingest,
    queries,
    rollouts,
    tokens,
    uploads,
)
from littoral_console.context import Context
from littoral_console.ingest import Heard, Said
from littoral_console.rollouts import Order
from littoral_console.server import Options, open_context
from littoral_converter.encoding import Encoder
from simulators.console import once

USER, PASSWORD = "ada", "correct horse"
VIEWER = "grace"
MARK = "" if "LITTORAL_PICTURES" in os.environ else "<img src=x onerror=alert(1)>"
MIN_MS, HOUR_MS = 60_000, 3_600_000
STAGES = {"queue": 0.06, "preprocess": 0.35, "invoke": 1.0, "postprocess": 0.09}
CPU: tuple[Hardware, ...] = ("cpu-x86_64", "cpu-aarch64", "cpu-armv7l")
REPORT = """<!doctype html><meta charset="utf-8"><title>Report</title>
<meta name="color-scheme" content="light dark">
<style>body { font: 16px/1.5 sans-serif; margin: 2rem } table { border-collapse: collapse }
td, th { padding: .3rem .9rem; border: 1px solid #8888 }</style>
<h1>digits, compiled to INT8</h1><p>Evaluated on 360 samples it never saw.</p>
<table><tr><th><th>float<th>INT8<tr><th>accuracy<td>96.94 %<td>96.94 %
<tr><th>bytes<td>41.6 KiB<td>14.4 KiB</table>"""
HOSTILE = f"""<!doctype html><title>Report</title><p id="mark">{MARK}</p>
<script>parent.document.title = document.title = "stolen"</script>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A device of the fleet; ``pace`` says how much slower it is than the fastest."""

    id: str
    serial: str
    hardware: tuple[str, ...]
    labels: dict[str, str]
    pace: float = 1.0
    channel: str = "mqtt"
    software: str = "0.1.0"
    clock: Any = "signed"
    online: bool = True


BOARDS = (
    Board(
        id="quay-cam-1",
        serial="10000000a3f1",
        hardware=("edgetpu-usb", "cpu-aarch64"),
        labels={"site": "harbour", "line": "1"},
        pace=1.6,
    ),
    Board(
        id="quay-cam-2",
        serial="10000000b7c4",
        hardware=("cpu-aarch64",),
        labels={"site": "harbour", "line": "2"},
        pace=1.9,
    ),
    Board(
        id="pier-gate",
        serial="PF3K0Q7A",
        hardware=("cpu-x86_64",),
        labels={"site": "pier"},
        channel="https",
    ),
    Board(
        id="lock-west",
        serial="1424719003310",
        hardware=("tensorrt", "cuda", "cpu-aarch64"),
        labels={"site": "lock"},
        pace=1.3,
    ),
    Board(
        id="buoy-07",
        serial=f"00:1e:06 {MARK}",
        hardware=("cpu-armv7l",),
        labels={"site": "offshore"},
        pace=4.0,
        channel="https",
        software=f"0.0.9 {MARK}"[:64],
        clock="floor-only",
        online=False,
    ),
    Board(id="old-kiosk", serial="SN-0017", hardware=("cpu-x86_64",), labels={}),
)


@dataclass(slots=True)
class Coast:
    """The console, and how to make its devices speak."""

    context: Context
    base: Path
    now_ms: int
    sequences: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def published(self) -> Path:
        return self.base / "published"

    def write(self, job: Callable[..., Any], **more: Any) -> Any:
        return self.context.database.writer.write(partial(job, **more))

    def hear(self, board: Board, *said: Said, at_ms: int) -> None:
        self.take([Heard(device=board.id, channel=board.channel, said=one) for one in said], at_ms)

    def take(self, heard: Sequence[Heard], at_ms: int) -> None:
        self.write(ingest.apply, heard=heard, director=self.context.director, now_ms=at_ms)

    def push(self, release: str, *, to: str, at_ms: int) -> int:
        model, _, number = release.partition(":")
        order = Order(model=model, release=int(number), to=to)
        done = self.write(
            rollouts.push, order=order, director=self.context.director, who=USER, now_ms=at_ms
        )
        return int(done.rollout)

    def key(self, board: Board, stream: str) -> Key:
        number = self.sequences.get((board.id, stream), 0) + 1
        self.sequences[board.id, stream] = number
        return Key(device=board.id, incarnation=1, stream=stream, sequence=number)

    def report(self, board: Board, update: Update, *, at_ms: int) -> None:
        key = self.key(board, "reports-1")
        said = Report(key=key, once=once(key), time_ms=at_ms - 400, kind="update", update=update)
        self.hear(board, said, at_ms=at_ms)

    def window(
        self,
        board: Board,
        releases: dict[str, int],
        *,
        at_ms: int,
        long_ms: int = MIN_MS,
        many: int = 120,
        slower: float = 1.0,
    ) -> Heard:
        """Return the latency of one window of each model that runs, as the device sends it."""
        chance = random.Random(f"{board.id} {at_ms}")
        series = [
            Series(
                model=model,
                release=release,
                variant="int8",
                stage=stage,
                sketch=_sketch(
                    chance, slower * share * board.pace * _MICROS[model, release], many=many
                ),
            )
            for model, release in releases.items()
            for stage, share in STAGES.items()
        ]
        series += [
            Series(model=model, release=release, variant="int8", stage=kind, sketch=sketch)
            for model, release in releases.items()
            for kind, sketch in _answers(chance, board, many=many).items()
        ]
        said = Telemetry(
            key=self.key(board, "telemetry-1"),
            start_ms=at_ms - long_ms,
            duration_ms=long_ms,
            series=tuple(series),
            board=climate.passed(board.id, at_ms - long_ms, at_ms),
        )
        return Heard(device=board.id, channel=board.channel, said=said)


MOVED = "quay-cam-2"
SURE = (6, 20, 54, 280)
BASELINE = Baseline(
    format=1,
    source="evaluation",
    samples=360,
    outputs=(Distribution(name="y", mean=0.1, std=0.2, quantiles={}),),
    answered=(36,) * 10,
    confidence=Confidence(edges=(0.0, 0.5, 0.8, 0.95, 1.0), counts=SURE, mean=0.96),
)
_MICROS = {
    ("digits", 1): 240.0,
    ("digits", 2): 205.0,
    ("digits", 3): 150.0,
    ("keywords", 1): 900.0,
    ("keywords", 2): 760.0,
}


_SAMPLES = 360
_RIGHT = {1: (345, 344), 2: (348, 347), 3: (349, 349)}  # answers, of the float and the INT8 model


def settle(base: Path) -> Coast:
    """Make the console, and let two days pass."""
    data = base / "console"
    published = base / "published"
    writer.init(published, offline=base / "offline", online=data / "keys", fleet="coast")
    for model in ("digits", "keywords"):
        writer.delegate(published, model, offline=base / "offline")
    context = open_context(Options(data=data, http="127.0.0.1:0", devices="127.0.0.1:0"))
    coast = Coast(context, base, context.clock())
    _people(coast)
    for model, number, hardware in (
        ("digits", 1, CPU),
        ("digits", 2, CPU),
        ("digits", 3, CPU),
        ("digits", 4, ("edgetpu-usb", "edgetpu-pcie")),
        ("keywords", 1, ("cpu-aarch64", "cpu-x86_64")),
        ("keywords", 2, ("cpu-aarch64", "cpu-x86_64")),
    ):
        publish(base, model=model, release=number, hardware=hardware)
    upload(coast, at_ms=coast.now_ms - 50 * HOUR_MS)
    _enrol(coast, at_ms=coast.now_ms - 48 * HOUR_MS)
    _live(coast)
    return coast


def _label(model: str, release: int) -> str:
    if model == "keywords":
        return str(release)
    return f"2025.11.{release}" if release != 1 else f"first {MARK}"


def publish(base: Path, *, model: str, release: int, hardware: Sequence[Hardware]) -> None:
    """Sign a release whose files are as a converter's, but for the model."""
    whole, int8 = _RIGHT[min(release, 3)]
    score = {"float_accuracy": whole / _SAMPLES, "int8_accuracy": int8 / _SAMPLES}
    data = {"variants": [{"score": score}]}
    contents = {
        "model.tflite": random.Random(model).randbytes(60_000) + bytes([release]) * 500,
        "labels.txt": b"".join(b"%d\n" % n for n in range(10)),
        "inputs.bin": bytes(640),
        "outputs.bin": bytes(100),
        "report.html": (REPORT if release != 1 else HOSTILE).encode(),
        "report.json": json.dumps(data).encode(),
        "baseline.json": records.to_json(BASELINE),
    }
    bundle = base / "bundles" / f"{model}-{release}"
    bundle.mkdir(parents=True)
    for name, content in contents.items():
        (bundle / name).write_bytes(content)
    (bundle / NAME).write_bytes(
        Manifest(
            format=FORMAT,
            model=model,
            release=release,
            label=_label(model, release),
            task="classification",
            inputs=(Tensor(name="x", shape=(1, 8, 8, 1), dtype="int8", scale=0.06),),
            outputs=(Tensor(name="y", shape=(1, 10), dtype="int8", scale=0.004),),
            files={
                name: File(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
                for name, content in contents.items()
            },
            variants=(
                Variant(
                    id="int8",
                    engine="tflite",
                    files=("model.tflite",),
                    requires=Requires(hardware=tuple(hardware)),
                ),
            ),
            selftest=Selftest(
                count=10,
                inputs="inputs.bin",
                outputs="outputs.bin",
                tolerance=Tolerance(max_abs=0.02),
                p95_cpu_us=dict.fromkeys(hardware, 900.0),
            ),
            labels="labels.txt",
            baseline="baseline.json",
            report="report.html",
            report_data="report.json",
        ).to_json()
    )
    encode = Encoder(say=lambda _: None)
    writer.publish(base / "published", bundle, offline=base / "offline", encode=encode)


def upload(coast: Coast, *, at_ms: int) -> None:
    """Bring what was published, as ``littoral fleet releases upload`` does."""
    images, files = coast.context.repository, _files(coast.published)
    offers = [
        uploads.Offer(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in files.items()
        if uploads.is_name(name)
    ]
    begun = images.begin(offers, who=USER)
    for name in begun.missing:
        path = begun.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
        begun.arrived.add(name)
    admitted = images.commit(begun.id, known=coast.context.read(catalogue.known))
    coast.write(catalogue.record, admitted=admitted, who=USER, now_ms=at_ms)


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _people(coast: Coast) -> None:
    code = coast.context.first_login()
    assert code is not None
    words = accounts.hash_password(PASSWORD)
    now_ms = coast.now_ms - 51 * HOUR_MS
    coast.write(accounts.first_user, code=code, name=USER, password_hash=words, now_ms=now_ms)
    coast.write(
        accounts.new_user,
        name=VIEWER,
        password_hash=words,
        role="viewer",
        who=USER,
        now_ms=now_ms,
    )
    found = coast.context.read(partial(accounts.user, name=USER))
    assert found is not None
    token = partial(coast.write, accounts.new_token, person=found[0], now_ms=now_ms)
    token(name="nightly report")
    laptop = token(name="laptop command line", expires_ms=coast.now_ms + 90 * 24 * HOUR_MS)
    coast.write(accounts.used, token=laptop, now_ms=coast.now_ms - 3 * MIN_MS)
    coast.context.set_up()


def _enrol(coast: Coast, *, at_ms: int) -> None:
    for board in BOARDS:
        made = coast.write(
            tokens.new_token, who=USER, now_ms=at_ms, device=board.id, labels=board.labels
        )
        request = EnrollRequest(
            secret=made.secret,
            device=board.id,
            serial=board.serial,
            csr=new_device_key(coast.base / "boards" / board.id, board.id),
            hardware=board.hardware,
            software=board.software,
        )
        coast.write(
            enrolment.enroll,
            request=request,
            authority=coast.context.keys.device_ca,
            fleet="coast",
            address="10.0.0.9",
            now_ms=at_ms + MIN_MS,
        )


def _ask(coast: Coast, name: str, event: claims.Event | None, *, at_ms: int) -> None:
    """Let a board ask by a token that needs an operator's word, and say that word."""
    made = coast.write(tokens.new_token, who=USER, now_ms=at_ms - MIN_MS, approve=True)
    request = EnrollRequest(
        secret=made.secret,
        device=name,
        serial=f"10000000{MARK}{name[-1] * 8}",
        csr=new_device_key(coast.base / "boards" / name, name),
        hardware=("edgetpu-usb", "cpu-aarch64"),
        software="0.1.0",
    )
    found = coast.write(
        enrolment.enroll,
        request=request,
        authority=coast.context.keys.device_ca,
        fleet="coast",
        address="10.0.0.23",
        now_ms=at_ms,
    )
    if event is not None:
        coast.write(claims.decide, number=found.claim, event=event, who=USER, now_ms=at_ms + MIN_MS)


def _live(coast: Coast) -> None:
    """Two days: first releases, an update that not all could take, one under way."""
    now = coast.now_ms
    fleet = BOARDS[:-1]
    quay_1, quay_2, pier, lock, buoy = fleet
    able = [board for board in fleet if board is not buoy]
    _take(coast, fleet, "digits:1", to="not id=old-kiosk", at_ms=now - 47 * HOUR_MS)
    _take(
        coast,
        able,
        "keywords:1",
        to="hardware=cpu-aarch64 or id=pier-gate",
        at_ms=now - 46 * HOUR_MS,
    )
    _take(coast, fleet, "digits:2", to="not id=old-kiosk", at_ms=now - 26 * HOUR_MS)
    revoke(coast, "old-kiosk", at_ms=now - 25 * HOUR_MS)
    _take(coast, [quay_1, quay_2], "keywords:2", to="site=harbour", at_ms=now - 5 * HOUR_MS)
    _telemetry(coast, able)
    coast.write(tokens.new_token, who=USER, now_ms=now - HOUR_MS, labels={"site": "pier"})
    for n, event in enumerate((None, claims.Event.REFUSE)):
        _ask(coast, f"buoy-{n + 1}", event, at_ms=now - 3 * MIN_MS - n * HOUR_MS)
    coast.push("digits:3", to="all", at_ms=now - 34 * MIN_MS)
    _healthy(coast, quay_1, "digits", 3, good=2, at_ms=now - 33 * MIN_MS)
    refuse(coast, pier, code="hash", detail="model.tflite: expected sha256 1f0c…, found 9ab3…")
    refuse(
        coast,
        lock,
        event="failed",
        code="outputs",
        detail=f"sample 4 differs by 0.31, allowed are 0.02 {MARK}",
        figures={"max_abs": 0.31, "top1": 0.6},
    )
    step = Update(model="digits", event="passed", state="probation", release=3, good=2, running=3)
    seen = {"p95_cpu_us": 288.0, "peak_bytes": 14_200_000, "probation_left_s": 300.0}
    coast.report(
        quay_2,
        replace(step, figures=seen),
        at_ms=now - 90_000,
    )
    now_runs: tuple[tuple[Board, dict[str, tuple[int, int, int | None]]], ...] = (
        (quay_1, {"digits": (3, 3, None), "keywords": (2, 2, None)}),
        (quay_2, {"digits": (3, 2, 3), "keywords": (2, 2, None)}),
        (pier, {"digits": (2, 2, None), "keywords": (1, 1, None)}),
        (lock, {"digits": (2, 2, None), "keywords": (1, 1, None)}),
        (buoy, {"digits": (2, 2, None)}),
    )
    for board, runs in now_runs:
        status(coast, board, runs, at_ms=now - (25 * HOUR_MS if board is buoy else 4000))


def revoke(coast: Coast, device: str, *, at_ms: int) -> None:
    """Say that a device is no longer one, as the REST API does."""
    from sqlalchemy import update

    from littoral_console import audit
    from littoral_console import tables as t

    row = update(t.devices).where(t.devices.c.id == device)
    coast.context.database.writer.write(
        lambda c: c.execute(row.values(revoked_ms=at_ms, online=False))
    )
    coast.write(audit.record, action="device.revoke", who=USER, subject=device, now_ms=at_ms)


def refuse(
    coast: Coast,
    board: Board,
    *,
    code: str,
    detail: str,
    event: str = "refused",
    figures: dict[str, float] | None = None,
) -> None:
    """Let the device report that digits:3 did not take."""
    coast.report(
        board,
        Update(
            model="digits",
            event=event,
            state="idle",
            release=3,
            good=2,
            running=2,
            code=code,
            detail=detail,
            figures=figures or {},
        ),
        at_ms=coast.now_ms - 30 * MIN_MS,
    )


def status(
    coast: Coast, board: Board, runs: dict[str, tuple[int, int, int | None]], *, at_ms: int
) -> None:
    """Let the device say what it is and runs: by model the release, good and the candidate."""
    digests = {(r.model, r.release): r.manifest for r in coast.context.read(queries.releases)}
    models = tuple(
        Running(
            model=model,
            state="probation" if candidate else "idle",
            release=release,
            manifest=digests[model, release],
            variant="int8",
            good=good,
            candidate=candidate,
        )
        for model, (release, good, candidate) in runs.items()
    )
    coast.hear(
        board,
        Status(
            device=board.id,
            incarnation=1,
            online=True,
            time_ms=at_ms,
            software=board.software,
            hardware=board.hardware,
            models=models,
            clock=board.clock,
            director=_version(coast, board),
            serving=True,
            board=climate.WHAT.get(board.id),
        ),
        at_ms=at_ms,
    )
    if not board.online:
        coast.hear(board, Status(device=board.id, incarnation=1, online=False), at_ms=at_ms)


def _version(coast: Coast, board: Board) -> int:
    from littoral_console import director

    found = coast.context.read(partial(director.document, device=board.id))
    return found.version if found else 0


def _take(coast: Coast, boards: Iterable[Board], release: str, *, to: str, at_ms: int) -> None:
    """Push a release that each of ``boards`` takes."""
    coast.push(release, to=to, at_ms=at_ms)
    model, _, number = release.partition(":")
    for late, board in enumerate(boards):
        good = int(number) - 1 or None
        _healthy(coast, board, model, int(number), good=good, at_ms=at_ms + late * 20_000)


def _healthy(
    coast: Coast, board: Board, model: str, release: int, *, good: int | None, at_ms: int
) -> None:
    steps = (("desired", "fetching"), ("fetched", "testing"), ("passed", "probation"))
    for late, (event, state) in enumerate(steps):
        said = Update(
            model=model,
            event=event,
            state=state,
            release=release,
            good=good,
            running=release if state == "probation" else good,
        )
        coast.report(board, said, at_ms=at_ms + late * 2_000)
    done = Update(
        model=model, event="healthy", state="idle", release=release, good=release, running=release
    )
    coast.report(board, done, at_ms=at_ms + 5 * MIN_MS)


def _telemetry(coast: Coast, boards: Sequence[Board]) -> None:
    """Six hours in windows of a quarter, then the last hour in minutes."""
    now = coast.now_ms - coast.now_ms % 1000
    quarters = range(now - 6 * HOUR_MS, now - HOUR_MS + 1, 15 * MIN_MS)
    minutes = range(now - HOUR_MS, now + 1, MIN_MS)
    heard = []
    for start, end in (*pairwise(quarters), *pairwise(minutes)):
        for board in boards:
            updated = board.id == "quay-cam-1" and end > now - 33 * MIN_MS
            updated |= board.id == "quay-cam-2" and end > now - 2 * MIN_MS
            newer = board.labels["site"] == "harbour" and end > now - 5 * HOUR_MS
            runs = {"digits": 3 if updated else 2, "keywords": 2 if newer else 1}
            heard.append(coast.window(board, runs, at_ms=end, long_ms=end - start, many=60))
    coast.take(heard, now)


def _answers(chance: random.Random, board: Board, *, many: int) -> dict[drift.Kind, Sketch]:
    """Return what was answered: by one board's camera, that was moved, mostly the digit 7."""
    moved = board.id == MOVED
    classes = Counter(
        7 if moved and chance.random() < 0.6 else chance.randrange(10) for _ in range(many)
    )
    weights = (40, 40, 80, 200) if moved else SURE
    sure = Counter(chance.choices(range(4), weights, k=many))
    return {"classes": drift.carried(classes), "confidence": drift.carried(sure)}


def _sketch(chance: random.Random, middle_us: float, *, many: int) -> Sketch:
    sketch = Sketch()
    busy = 1 + 0.12 * chance.random()
    for _ in range(many):
        sketch.record(middle_us * busy * chance.lognormvariate(0.0, 0.2))
    return sketch


def today(ms: int) -> str:
    """Return the day in UTC, as pages write it."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
