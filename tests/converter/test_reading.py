from pathlib import Path

import numpy as np
import pytest

from littoral.errors import MalformedError
from littoral_converter import reading
from littoral_converter.recipe import Limits
from littoral_converter.samples.asked import Asked
from littoral_converter.worker import Progress
from littoral_converter.workshop import Workshop

X = np.arange(48, dtype=np.float32).reshape(8, 6)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    (tmp_path / "shop").mkdir()
    return Workshop(folder=tmp_path / "shop", limits=Limits(), say=lambda _: None)


def test_a_child_reads_and_the_parent_maps(shop: Workshop, tmp_path: Path) -> None:
    said: list[Progress] = []
    shop.say = said.append
    np.savez(tmp_path / "d.npz", x=X, y=[0, 1] * 4, labels=["a", "b"])
    found = reading.samples(shop, tmp_path / "d.npz", Asked(most=4), name="calibration")
    assert isinstance(found.x, np.memmap)
    assert (found.x.shape, found.of, found.labels) == ((4, 6), 8, ("a", "b"))
    assert found.y is not None
    assert sorted(found.y.tolist()) == [0, 0, 1, 1]
    assert "reading samples" in [progress.stage for progress in said]
    assert list(shop.costs) == ["read the calibration samples"]


def test_what_is_wrong_arrives_in_words(shop: Workshop, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.where(X == 13, np.nan, X))
    with pytest.raises(MalformedError, match=r"d\.npz: x: sample 2 holds NaN"):
        reading.samples(shop, tmp_path / "d.npz", Asked(), name="calibration")


def test_what_is_mapped_is_not_written_again_and_stays_what_it_is(
    shop: Workshop, tmp_path: Path
) -> None:
    """The file under the second name may be replaced while the first one is mapped."""
    np.save(tmp_path / "d.npy", X)
    found = reading.samples(shop, tmp_path / "d.npy", Asked(), name="evaluation")
    at = shop.keep("samples.npy", found.x)
    assert at.stat().st_ino == (shop.folder / "evaluation.npy").stat().st_ino
    assert np.array_equal(np.load(at), X)
    assert shop.keep("evaluation.npy", found.x).stat().st_ino == at.stat().st_ino
    at = shop.keep("samples.npy", found.x.transpose()[:1])
    assert np.array_equal(np.load(at), X.T[:1])
    assert np.array_equal(found.x, X)
    assert np.array_equal(np.load(shop.keep("part.npy", found.x[2:5])), X[2:5])
