import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.errors import ConversionError, MisuseError
from littoral_converter import check
from littoral_converter.ptq import effort, observe
from littoral_converter.ptq.judge import compare
from littoral_converter.ptq.network import Network
from littoral_converter.ptq.quantize import quantize

Floats = NDArray[np.float32]


def test_the_model_is_integer_and_near_and_the_steps_are_told(tiny: bytes, digits: Floats) -> None:
    said: list[str] = []
    done = quantize(tiny, digits[:200], say=lambda what, _done, _of: said.append(what))
    assert check.read(done.model).fully_integer
    assert [d.step for d in done.steps] == ["plain", *effort.ALL]
    assert list(dict.fromkeys(said)) == ["plain", *effort.ALL]
    reference = observe.answers(tiny, digits[400:])
    plain = quantize(tiny, digits[:200], steps=())
    before, after = (
        compare(reference, observe.answers(d.model, digits[400:])) for d in (plain, done)
    )
    assert after.loss < before.loss
    assert after.agreement is not None
    assert after.agreement > 0.985
    assert quantize(tiny, digits[:200]).model == done.model


def test_a_step_that_makes_it_worse_is_undone(
    tiny: bytes, digits: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[quantize.__module__]
    monkeypatch.setattr(module.ranges, "best", lambda _values, **_: (-0.1, 0.1))
    done = quantize(tiny, digits[:60], steps=["ranges"])
    assert [(d.step, d.kept) for d in done.steps] == [("plain", True), ("ranges", False)]
    assert done.model == quantize(tiny, digits[:60], steps=()).model


def test_bytes_at_its_ends_answer_as_int8_does(tiny: bytes, digits: Floats) -> None:
    int8, uint8 = (quantize(tiny, digits[:40], steps=(), io=io).model for io in ("int8", "uint8"))
    assert np.array_equal(observe.answers(int8, digits[:50]), observe.answers(uint8, digits[:50]))


def test_what_shall_stay_float_stays_float(tiny: bytes, digits: Floats) -> None:
    network = Network.read(tiny)
    name = network.name(network.ops[0].outputs[0])
    done = quantize(tiny, digits[:40], keep_float={name})
    operators = check.read(done.model).operators
    assert sum(o.floats for o in operators if o.name == "CONV_2D") == 1
    with pytest.raises(MisuseError, match="no operator that makes 'conv9'; the nearest is '"):
        quantize(tiny, digits[:40], keep_float={"conv9"})


def test_samples_that_do_not_fit_are_told(tiny: bytes, digits: Floats) -> None:
    with pytest.raises(ConversionError, match=r"expected samples of \[8, 8, 1\], found \[8, 8\]"):
        quantize(tiny, digits[:40, ..., 0])


def test_a_float_model_that_gives_nan_is_told(tiny: bytes, digits: Floats) -> None:
    network = Network.read(tiny)
    weights = network.ops[0].inputs[1]
    value = network.constant(weights)
    assert value is not None
    network.set_constant(weights, value * np.float32(np.nan))
    with pytest.raises(ConversionError, match="NaN or infinity"):
        quantize(network.write(), digits[:40])
