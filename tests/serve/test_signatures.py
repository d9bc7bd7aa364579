"""How clients see tensors."""

from littoral.bundle.manifest import Tensor
from littoral_serve.running.signatures import batch_size, signatures

X = Tensor(name="x", shape=(1, 8, 8, 1), dtype="int8", scale=0.5)
Y = Tensor(name="y", shape=(1, 10), dtype="float32")
ROWS = Tensor(name="rows", shape=(7, 10), dtype="float32")


def test_any_number_of_instances_may_come_where_all_tensors_have_one_batch() -> None:
    for outputs, shape in (((Y,), (-1, 8, 8, 1)), ((Y, ROWS), (1, 8, 8, 1))):
        (view,) = signatures((X,), outputs)["raw"].inputs
        assert view.shape(batch_size((X,), outputs)) == shape
