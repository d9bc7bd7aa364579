"""What a child says of a runtime, as far as it came."""

from littoral import records
from littoral.wire.probes import Step, missing, read


def test_the_lines_end_where_the_process_did() -> None:
    said = [Step(step="library", value="/usr/lib/x"), Step(step="version", value="14")]
    data = b"".join(records.to_json(one) + b"\n" for one in said)
    assert read(data) == tuple(said)
    assert read(data + b'{"step": "devi') == tuple(said)
    assert missing("edgetpu", read(data)) == "devices"


def test_a_step_that_failed_says_why() -> None:
    data = records.to_json(Step(step="import", error="no such module"))
    (only,) = read(data)
    assert only.error == "no such module"
    assert missing("litert", (only,)) == "load"


def test_what_is_no_step_is_none() -> None:
    assert read(b"Segmentation fault\n") == ()
    assert read(b'{"step": "import", "shout": true}\n') == ()
    assert missing("litert", tuple(Step(step=s) for s in ("import", "load", "run"))) is None
