"""What pages are made of: values in, words and figures out."""

from dataclasses import replace
from pathlib import Path

import pytest

from littoral.bundle.manifest import (
    FORMAT,
    File,
    Manifest,
    Requires,
    Selftest,
    Tensor,
    Tolerance,
    Variant,
)
from littoral.errors import MalformedError, MisuseError, every
from littoral.wire.journal import State
from littoral_console import figures
from littoral_console.agreement import agreements
from littoral_console.alarms import Alarm, alarms
from littoral_console.outcomes import Outcome
from littoral_console.pages.accuracy import Accuracy, accuracy
from littoral_console.pages.overview import Part, shares, spark
from littoral_console.pages.pushing import suggestions
from littoral_console.pages.reasons import codes, reason, word
from littoral_console.pages.releases import coverage
from littoral_console.pages.telemetry import bars, lines
from littoral_console.pages.tokens import spoken
from littoral_console.pages.uploading import name_of, nothing_of_ours
from littoral_console.queries import Device, Latency, LatencyPoint, Running, Spread, Wanted

DEVICE = Device(
    id="edge-1",
    serial="1",
    incarnation=1,
    labels={"site": "quay"},
    created_ms=0,
    revoked_ms=None,
    frozen_ms=None,
    frozen_why=None,
    rotate_ms=None,
    online=True,
    last_seen_ms=0,
    channel="mqtt",
    software="0.1.0",
    hardware=("edgetpu-usb", "cpu-aarch64"),
    trust="token",
    clock="signed",
    serving=True,
    director=1,
    issued=1,
    board=None,
    models=(),
    wanted=(),
)
RUNS = Running(
    model="digits",
    state="idle",
    release=1,
    manifest="",
    variant="int8",
    good=1,
    candidate=None,
    since_ms=7,
)
WANTED = Wanted(
    model="digits",
    release=2,
    hardware="cpu-aarch64",
    attempt=0,
    rollout=1,
    outcome="pending",
    step="asked",
    code=None,
    detail="",
    since_ms=9,
    met=False,
)
FILE = File(sha256="0" * 64, size=1)
MANIFEST = Manifest(
    format=FORMAT,
    model="digits",
    release=7,
    label="7",
    task="raw",
    inputs=(Tensor(name="x", shape=(1,), dtype="int8"),),
    outputs=(Tensor(name="y", shape=(1,), dtype="int8"),),
    files={"a.tflite": FILE, "b.tflite": FILE, "golden.bin": FILE},
    variants=(
        Variant(
            id="coral",
            engine="tflite",
            files=("a.tflite",),
            requires=Requires(hardware=("edgetpu-usb",)),
        ),
        Variant(
            id="cpu",
            engine="tflite",
            files=("b.tflite",),
            requires=Requires(hardware=("cpu-aarch64", "cpu-x86_64")),
        ),
    ),
    selftest=Selftest(
        count=1,
        inputs="golden.bin",
        outputs="golden.bin",
        tolerance=Tolerance(max_abs=0.1),
        p95_cpu_us={"cpu-aarch64": 900.0},
    ),
)


def test_every_code_there_is_has_words_for_people() -> None:
    ours = {error.code for error in every() if error.__module__.startswith("littoral")}
    assert ours <= set(codes())
    for code in codes():
        assert reason(code).title != code
        assert reason(code).meaning.endswith(".")


def test_a_code_of_a_newer_device_is_shown_as_it_is() -> None:
    assert reason("moon-phase").title == "moon-phase"
    assert word("waxing").text == "waxing"


def test_every_outcome_and_state_has_a_word_and_a_colour() -> None:
    for name in (*Outcome, *State):
        assert word(name).text != "", name
    assert [word(o).tone for o in Outcome] == ["busy", "good", "bad", "bad", "calm"]


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "now"),
        (999, "now"),
        (1_000, "1 s ago"),
        (59_999, "59 s ago"),
        (3_600_000, "1 h ago"),
        (3 * 86_400_000, "3 d ago"),
        (-120_000, "in 2 min"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(ms: int, said: str) -> None:
    assert figures.age(10**12 - ms, 10**12) == said


def test_figures_are_said_in_the_unit_that_reads_best() -> None:
    assert [figures.micros(us) for us in (0.5, 42.4, 999, 1_234, 2_500_000)] == [
        "0.5 µs",
        "42 µs",
        "999 µs",
        "1.23 ms",
        "2.5 s",
    ]
    assert figures.percent(0.9806) == "98.06 %"
    assert figures.named(1_500.0, "p95_cpu_us") == "1.5 ms"
    assert figures.named(14_200_000.0, "peak_bytes") == "14.2 MB"
    assert figures.name("p95_cpu_us") == "p95 cpu"
    assert figures.named(300.0, "probation_left_s") == "300 s"
    assert figures.named(821_700.0, "waits_left_s") == "9 d"
    assert figures.name("probation_left_s") == "probation left"
    assert (figures.name("files_patch"), figures.named(2.0, "files_patch")) == ("by patch", "2")
    assert (figures.name("seconds"), figures.named(0.68349, "seconds")) == ("took", "0.683 s")
    measured = {"p50_us": 60.0, "p99_9_us": 90.0, "p99_us": 80.0, "throughput_per_s": 57_680.4}
    assert figures.rows(measured | {"slow_per_s": 2.25}) == [
        ("p50", "60 µs"),
        ("p99", "80 µs"),
        ("p99.9", "90 µs"),
        ("slow", "2.25/s"),
        ("throughput", "57\u202f680/s"),
    ]
    assert [figures.many(n, "device") for n in (0, 1, 2)] == ["0 devices", "1 device", "2 devices"]
    assert figures.utc(0) == "1970-01-01 00:00:00 UTC"


def test_what_was_chosen_in_vain_is_counted_as_people_count() -> None:
    said = [nothing_of_ours(files).partition(";")[0] for files in (0, 1, 3)]
    assert said == [
        "there is no file in what was chosen",
        "the file is not of a publisher's repository",
        "none of the 3 files is of a publisher's repository",
    ]


def test_what_is_wanted_is_never_taken_for_what_is_reported() -> None:
    def verdict(wanted: Wanted | None, runs: Running | None, *, issued: int = 1) -> str:
        models, wants = (runs,) if runs else (), (wanted,) if wanted else ()
        device = replace(DEVICE, models=models, wanted=wants, issued=issued)
        return agreements(device)[0].verdict.text

    assert verdict(WANTED, RUNS) == "r2 under way"
    assert verdict(WANTED, RUNS, issued=2) == "r2 asked for, not heard yet"
    assert verdict(replace(WANTED, step="fetched"), RUNS, issued=2) == "r2 under way"
    assert verdict(replace(WANTED, outcome="refused"), RUNS) == "refused r2, keeps r1"
    assert verdict(replace(WANTED, outcome="failed"), None) == "failed r2, runs nothing"
    fell_back = replace(WANTED, outcome="failed", step="fell-back")
    assert verdict(fell_back, RUNS) == "fell back from r2 to r1"
    assert verdict(replace(WANTED, outcome="healthy"), RUNS) == "runs r1, not r2"
    assert verdict(replace(WANTED, outcome="healthy"), None) == "runs nothing"
    assert verdict(replace(WANTED, outcome="healthy", release=1), RUNS) == "as wanted"
    assert verdict(None, RUNS) == "runs unasked"


def test_since_when_it_is_so_is_told_by_whoever_said_it() -> None:
    def since(outcome: str) -> int | None:
        wanted = replace(WANTED, outcome=outcome)
        return agreements(replace(DEVICE, models=(RUNS,), wanted=(wanted,)))[0].since_ms

    assert (since("failed"), since("healthy")) == (WANTED.since_ms, RUNS.since_ms)


def test_what_was_proven_and_does_not_run_is_an_alarm() -> None:
    def alarmed(*wanted: Wanted, online: bool = True) -> list[Alarm]:
        found = replace(DEVICE, models=(RUNS,), wanted=wanted, online=online)
        other = replace(found, id="edge-2")
        return [
            one
            for devices in ([found], [found, other], [replace(found, revoked_ms=1)])
            for one in alarms(devices, endings=(), claims=0, now_ms=0)
        ]

    fell_back = replace(WANTED, outcome="failed", step="fell-back")
    one, two = alarmed(fell_back)
    assert one.text == "edge-1: digits fell back from r2 to r1, though nobody ordered that"
    assert (one.where, one.devices) == ("/devices/edge-1", ("edge-1",))
    assert two.text.startswith("2 devices do not run what they had proven")
    assert (two.where, two.devices) == ("/devices?state=attention", ("edge-1", "edge-2"))
    assert alarmed(replace(WANTED, outcome="healthy"))[0].kind == "not-as-wanted"
    assert alarmed(replace(WANTED, outcome="healthy"), online=False) == [], (
        "what it runs is unknown"
    )
    assert alarmed(fell_back, online=False), "it had said so itself"
    for outcome in ("pending", "failed", "refused"):
        assert alarmed(replace(WANTED, outcome=outcome)) == []


def test_shares_count_what_devices_report_newest_release_first() -> None:
    runs = [replace(RUNS, release=n) for n in (1, 3, 3, None)]
    found = shares(
        [
            *(replace(DEVICE, models=(one,)) for one in runs),
            replace(DEVICE, models=(RUNS,), revoked_ms=5),
        ]
    )
    assert found[0].parts == (
        Part(release=3, devices=2, tone="share-1"),
        Part(release=1, devices=1, tone="share-2"),
        Part(release=None, devices=1, tone="calm"),
    )
    assert found[0].words == "2 run r3, 1 run r1, 1 run none"


def test_a_spark_stays_in_its_box() -> None:
    assert spark([(0, 5.0)]) == ""
    points = [
        tuple(map(float, p.split(",")))
        for p in spark([(0, 1.0), (50, 4.0), (100, 0.0)], span_ms=100).split()
    ]
    assert [x for x, _ in points] == [0.0, 50.0, 100.0]
    assert all(0 <= y <= 24 for _, y in points)


def test_the_variant_that_is_preferred_covers_a_device() -> None:
    plain = replace(DEVICE, hardware=("cpu-aarch64",))
    found = coverage(MANIFEST, [DEVICE, plain, replace(DEVICE, hardware=("cuda",))])
    assert [(v.id, v.devices) for v in found] == [("coral", 1), ("cpu", 1)]
    assert found[1].hardware == {"cpu-aarch64": 900.0, "cpu-x86_64": None}


def _point(release: int, at_ms: int) -> LatencyPoint:
    latency = Latency(
        device=None,
        model=None,
        release=release,
        variant=None,
        stage=None,
        count=1,
        mean_us=1.0,
        p50_us=1.0,
        p95_us=2.0,
        p99_us=3.0,
    )
    return LatencyPoint(start_ms=at_ms, latency=latency)


def test_lines_are_of_the_newest_three_releases_and_broken_by_a_long_silence() -> None:
    points = [_point(n, 1000) for n in (1, 2, 3, 4)]
    points += [_point(4, 2000), _point(4, 60_000)]
    found = lines(points, step_ms=1000)
    assert [line["release"] for line in found] == [4, 3, 2]
    assert found[0]["t"] == [1.0, 2.0, 3.0, 60.0]
    assert found[0]["p95"] == [2.0, 2.0, None, 2.0]


def test_bars_keep_every_request_and_end_empty() -> None:
    one = Spread(release=1, count=4, buckets=((2.0, 1), (2.0 ** (1 / 32), 1), (16.0, 2)))
    found = bars([one])
    shares_ = found["releases"][0]["share"]
    by_edge = dict(zip(found["edges_us"], shares_, strict=True))
    assert sum(shares_) == pytest.approx(1)
    assert by_edge[2 ** (7 / 8)] == 0.25  # a bound lies at the end of its bar
    assert by_edge[1.0] == 0.25
    assert by_edge[2 ** (31 / 8)] == 0.5
    assert shares_[0] == shares_[-1] == 0
    assert bars([]) == {"edges_us": [], "releases": []}


def test_a_file_finds_its_name_in_the_repository() -> None:
    sha = "ab" * 32
    named = f"targets/bundles/digits/7/{sha}.manifest.json"
    assert name_of(f"coast/{named}", b"") == named
    assert name_of(f"{sha}.manifest.json", MANIFEST.to_json()) == named
    assert name_of(sha, b"") == f"blobs/{sha}"
    assert name_of(f"x/blobs/{sha}", b"") == f"blobs/{sha}"
    assert name_of("3.digits.json", b"") == "metadata/3.digits.json"
    with pytest.raises(MalformedError):
        name_of(f"{sha}.manifest.json", b"{}")


def test_labels_are_spoken_as_words() -> None:
    assert spoken("site=quay, line=3") == {"site": "quay", "line": "3"}
    assert spoken("  ") == {}
    with pytest.raises(MisuseError, match="found 'quay'"):
        spoken("quay")


def test_selectors_are_suggested_that_mean_something() -> None:
    assert suggestions([DEVICE]) == ("all", "hardware=coral", "hardware=cpu", "site=quay", "edge-1")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            '{"variants": [{"score": {"float_accuracy": 0.98, "int8_accuracy": 0.97}}]}',
            Accuracy(int8=0.97, float=0.98),
        ),
        (
            '{"variants": [{"score": {"float_accuracy": "<b>", "int8_accuracy": 7}}]}',
            Accuracy(int8=None, float=None),
        ),
        ('{"variants": [{"score": null}]}', None),
        ('{"variants": []}', None),
        ("[" * 100_000, None),
        ("no JSON", None),
    ],
)
def test_a_report_s_data_is_believed_as_far_as_it_makes_sense(
    tmp_path: Path, text: str, found: Accuracy | None
) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    assert accuracy(path) == found
    assert accuracy(None) is None
