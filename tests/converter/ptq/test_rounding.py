import numpy as np
import pytest

from littoral_converter.ptq import rounding


@pytest.fixture
def rows() -> rounding.Floats:
    return np.random.default_rng(1).normal(size=(16, 40)).astype(np.float32)


@pytest.fixture
def inputs() -> rounding.Floats:
    """Correlated, as neighbours in a picture are."""
    rng = np.random.default_rng(2)
    mixed = rng.normal(size=(4000, 6)) @ rng.normal(size=(6, 40))
    return (mixed + 0.1 * rng.normal(size=(4000, 40))).astype(np.float32)


def test_errors_cancel_where_inputs_are_correlated(
    rows: rounding.Floats, inputs: rounding.Floats
) -> None:
    step = rounding.grid(rows, per_channel=True)
    moments = inputs.T.astype(float) @ inputs / len(inputs)
    done = rounding.on_grid(rows, moments, step, seen=len(inputs))
    plain = rounding.nearest(rows, step)
    wanted = inputs @ rows.T
    assert (
        np.square(inputs @ done.T - wanted).mean()
        < 0.2 * np.square(inputs @ plain.T - wanted).mean()
    )


@pytest.mark.parametrize("per_channel", [True, False])
def test_all_lies_on_the_grid_and_the_grid_can_be_found_again(
    rows: rounding.Floats, inputs: rounding.Floats, *, per_channel: bool
) -> None:
    step = rounding.grid(rows, per_channel=per_channel)
    assert len(np.unique(step)) == (16 if per_channel else 1)
    moments = inputs.T.astype(float) @ inputs / len(inputs)
    done = rounding.on_grid(rows, moments, step, seen=len(inputs))
    stored = done / step
    assert np.allclose(stored, np.round(stored), atol=1e-3)
    assert np.abs(stored).max() <= rounding.TOP + 1e-3
    assert np.allclose(rounding.grid(done, per_channel=per_channel), step, rtol=1e-6)


def test_the_largest_weight_keeps_its_place_whatever_its_neighbours_owe(
    inputs: rounding.Floats,
) -> None:
    rows = np.random.default_rng(3).normal(size=(500, 40)).astype(np.float32)
    step = rounding.grid(rows, per_channel=True)
    moments = inputs.T.astype(float) @ inputs / len(inputs)
    stored = rounding.on_grid(rows, moments, step, seen=len(inputs)) / step
    assert np.allclose(np.abs(stored).max(axis=1), rounding.TOP)


def test_an_input_that_never_varies_rounds_each_weight_alone(rows: rounding.Floats) -> None:
    step = rounding.grid(rows, per_channel=True)
    done = rounding.on_grid(rows, np.zeros((40, 40)), step, seen=10)
    assert np.array_equal(done, rounding.nearest(rows, step))


def test_few_places_move_weights_less_than_many(
    rows: rounding.Floats, inputs: rounding.Floats
) -> None:
    step = rounding.grid(rows, per_channel=True)
    few = inputs[:20]
    moments = few.T.astype(float) @ few / len(few)
    bold = rounding.on_grid(rows, moments, step, seen=10**9)
    wary = rounding.on_grid(rows, moments, step, seen=20)
    assert np.abs(wary - rows).mean() < np.abs(bold - rows).mean()


def test_what_was_pruned_stays_so_whatever_its_neighbours_owe(rows: rounding.Floats) -> None:
    rows = np.where(np.abs(rows) < np.median(np.abs(rows)), 0, rows).astype(np.float32)
    taps = np.random.default_rng(1).normal(size=(500, rows.shape[1]))
    step = rounding.grid(rows, per_channel=True)
    found = rounding.on_grid(rows, taps.T @ taps / 500 + 3, step, seen=500)
    assert (found[rows == 0] == 0).all()
    assert (found != rounding.nearest(rows, step)).any()
