"""Which steps a model is worth, and which it would wait for too long. Rules only.

What a step takes goes by the multiplications that the model makes for one sample, and by its
layers. A small network gets all that there is; a large one what takes a few seconds, no longer
than TensorFlow's own converter takes for it. Whoever wants more names the steps.
"""

from typing import Final, Literal, get_args

from littoral_converter.ptq import linear
from littoral_converter.ptq.network import Network

# In the order they are taken. Equalisation is last: what it is worth shows only in a whole model.
Step = Literal["plain", "relax", "ranges", "bias", "rounding", "equalise"]

ORDER: Final[tuple[Step, ...]] = get_args(Step)
ALL: Final[tuple[Step, ...]] = ("relax", "ranges", "rounding", "equalise")
QUICK: Final[tuple[Step, ...]] = ("relax", "ranges")
_PRODUCTS: Final = 30_000_000  # ResNet-8 makes 12 million, MobileNetV3-Small 54, MobileNetV2 300
_LAYERS: Final = 60  # each is looked at in the network that those before it have become


def steps(network: Network) -> tuple[Step, ...]:
    """Return the steps that are taken where nobody names them."""
    return QUICK if large(network) else ALL


def large(network: Network) -> bool:
    """Whether looking at each weight for every sample would take minutes."""
    layers = list(linear.layers(network))
    products = sum(linear.products(network, layer) for layer in layers)
    return products > _PRODUCTS or len(layers) > _LAYERS
