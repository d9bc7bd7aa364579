from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.errors import ConversionError, MisuseError
from littoral_converter.importers import layout
from littoral_converter.importers.layout import Node, Role
from littoral_converter.importers.program import Job


def node(role: Role, taken: str, given_: str) -> Node:
    return Node(role=role, inputs=(taken, "weights"), outputs=(given_,))


def job(seen: tuple[int, ...], shape: tuple[int, ...] | None = None) -> Job:
    return Job(model=Path(), folder=Path(), samples=Path(), seen=seen, shape=shape)


def test_what_flows_into_a_convolution_has_its_channels_first() -> None:
    assert layout.channels_first("x", 4, [node("channels", "x", "y"), node("other", "y", "z")])


def test_normalizing_on_the_way_changes_nothing() -> None:
    nodes = [node("each", "x", "a"), node("each", "a", "b"), node("channels", "b", "y")]
    assert layout.channels_first("x", 4, nodes)


def test_a_transpose_or_a_reshape_first_says_that_they_are_elsewhere() -> None:
    """Keras's models come to ONNX so, with their channels last."""
    assert not layout.channels_first("x", 4, [node("other", "x", "a"), node("channels", "a", "b")])
    both = [node("channels", "x", "a"), node("other", "x", "b")]
    assert not layout.channels_first("x", 4, both)


def test_vectors_have_no_channels() -> None:
    assert not layout.channels_first("x", 2, [node("channels", "x", "y")])
    assert not layout.channels_first("x", 4, [])


@pytest.mark.parametrize(
    ("seen", "axes"),
    [((3, 8, 6), (0, 2, 3, 1)), ((8, 6, 3), ())],
)
def test_samples_may_come_in_the_models_layout_or_in_the_devices(
    seen: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    found = layout.given(job(seen), (3, 8, 6), first=True, found=seen)
    assert (found.turned, found.axes) == (not axes, axes)
    assert (found.shape, found.program) == ((3, 8, 6), (8, 6, 3))
    assert found.original(np.zeros((2, *seen), np.float32)).shape == (2, 3, 8, 6)


def test_where_both_would_fit_the_models_layout_is_meant() -> None:
    assert layout.given(job((4, 4, 4)), (4, 4, 4), first=True, found=(4, 4, 4)).axes


def test_an_open_shape_is_shown_as_the_model_has_it() -> None:
    with pytest.raises(ConversionError, match=r"\[input\] shape = \[3, 8, 6\]"):
        layout.given(job((8, 6, 3)), (3, None, None), first=True, found=(8, 6, 3))
    found = layout.given(job((8, 6, 3), (3, 8, 6)), (3, None, None), first=True, found=(8, 6, 3))
    assert found.turned


def test_samples_that_fit_in_no_layout_are_refused() -> None:
    with pytest.raises(MisuseError, match=r"expected samples of \[3, 8, 6\]"):
        layout.given(job((8, 6)), (3, 8, 6), first=True, found=(8, 6))
    with pytest.raises(
        MisuseError,
        match=r"evaluation: .*\[8, 6, 3\], as those of the calibration.* found \[3, 8, 6\]",
    ):
        layout.given(job((8, 6, 3)), (3, 8, 6), first=True, found=(3, 8, 6))


@given(st.integers(3, 5))
def test_channels_are_moved_behind_all_else(rank: int) -> None:
    shape = tuple(range(2, 2 + rank))
    assert np.zeros(shape).transpose(layout.last(rank)).shape == (shape[0], *shape[2:], shape[1])


def test_the_order_of_answers_is_that_in_which_they_are_alike() -> None:
    wanted = np.random.default_rng(0).random((1, 4, 4, 4), dtype=np.float32)
    assert layout.likest(wanted, wanted) == (0, 1, 2, 3)
    assert layout.likest(wanted, wanted.transpose(0, 2, 3, 1)) == (0, 2, 3, 1)
    with pytest.raises(ValueError, match="expected answers of"):
        layout.likest(wanted, wanted[:, :3])
