"""What compilers printed, word by word, is understood."""

import pytest

from littoral_converter.edgetpu import log
from littoral_converter.edgetpu.log import Failure
from simulators.edgetpu_compiler import ENDS, FAILED, FOOT, HEAD, TIMER, TOO_LARGE

BLOCK = """Input model: /work/a.tflite
Input size: 258.55KiB
Output model: /out/a_edgetpu.tflite
Output size: 380.62KiB
On-chip memory used for caching model parameters: 322.25KiB
On-chip memory remaining for caching model parameters: 2.98MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 36
Operation log: /out/a_edgetpu.log
"""
SOME = """
Model successfully compiled but not all operations are supported by the Edge TPU. A percentage \
of the model will instead run on the CPU, which is slower. If possible, consider updating your \
model to use only operations supported by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 2
Number of operations that will run on CPU: 34
"""
TABLE = """
Operator                       Count      Status

CONV_2D                        1          Mapped to Edge TPU
CONV_2D                        30         More than one subgraph is not supported
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
TRANSPOSE                      2          Operation not supported
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to \
some unspecified limitation
SUB                            1          Operation is working on an unsupported data type
"""
PARTIAL = f"{HEAD}{TIMER}\nModel compiled successfully in 1717 ms.\n\n{BLOCK}{SOME}{TABLE}{FOOT}"


def test_a_partial_success_is_read_to_the_last_row() -> None:
    found = log.read(PARTIAL)
    assert found.succeeded
    assert found.version == "16.0.384591198"
    (model,) = found.models
    assert (model.name, model.output) == ("/work/a.tflite", "/out/a_edgetpu.tflite")
    assert model.cached_bytes == round(322.25 * 1024)
    assert model.remaining_bytes == round(2.98 * 2**20)
    assert model.streamed_bytes == 0
    assert (model.subgraphs, model.operations, model.mapped, model.left) == (1, 36, 2, 34)
    words = [(s.operator, s.count, s.words) for s in model.statuses]
    assert words[0] == ("CONV_2D", 1, log.MAPPED)
    assert words[1] == ("CONV_2D", 30, "More than one subgraph is not supported")
    assert words[4][2].endswith("but not mapped due to some unspecified limitation")
    assert sum(count for _, count, _ in words) == model.operations


def test_where_all_is_mapped_nothing_is_counted_apart() -> None:
    (model,) = log.read(f"{HEAD}\nModel compiled successfully in 3 ms.\n\n{BLOCK}{FOOT}").models
    assert (model.mapped, model.left, model.statuses) == (36, 0, ())


def test_models_that_were_compiled_together_have_a_block_each() -> None:
    other = BLOCK.replace("/a", "/b")
    found = log.read(f"{HEAD}\nModels compiled successfully in 9 ms.\n\n{BLOCK}\n{other}{FOOT}")
    assert found.succeeded
    assert [model.name for model in found.models] == ["/work/a.tflite", "/work/b.tflite"]


@pytest.mark.parametrize(
    ("play", "failure", "words"),
    [
        ("not-quantized", Failure.NOT_QUANTIZED, "Model not quantized"),
        ("internal", Failure.INTERNAL, "Internal compiler error. Aborting!"),
        ("time-out", Failure.TIMED_OUT, ""),
        ("dynamic", Failure.OPEN_SHAPE, "Model failed in Tflite interpreter"),
        ("newer", Failure.NEWER_OPERATOR, "Registration failed"),
        ("large", Failure.TOO_LARGE, "large activation tensors"),
        ("stub", Failure.OTHER, "no valid delegate"),
    ],
)
def test_each_failure_is_told_from_the_others(play: str, failure: Failure, words: str) -> None:
    found = log.read(HEAD + ENDS[play])
    assert not found.succeeded
    assert found.failure == failure
    assert words in found.words


def test_a_version_and_nothing_else_is_no_success() -> None:
    assert log.read(HEAD).failure == Failure.SILENT
    assert log.read("").failure == Failure.SILENT


def test_the_failure_of_one_of_two_segments_is_a_failure() -> None:
    text = f"{PARTIAL}{TIMER}{TOO_LARGE}"
    assert log.read(text).failure == Failure.TOO_LARGE


def test_what_a_search_tried_before_is_no_failure() -> None:
    tried = f"Searching for valid delegate with step 10\nTry to compile segment with 9 ops\n{TIMER}"
    found = log.read(f"{HEAD}{tried}{TOO_LARGE}Try to compile segment with 8 ops\n{PARTIAL}")
    assert found.succeeded
    assert found.version == "16.0.384591198"
    assert len(found.models) == 1
    assert not log.read(f"{HEAD}{tried}{TOO_LARGE}").succeeded


def test_a_timer_that_ran_is_no_time_out() -> None:
    assert log.read(f"{HEAD}{TIMER}{FAILED}").failure == Failure.OTHER
