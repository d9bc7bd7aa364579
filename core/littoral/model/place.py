"""Where a picture lies in a model's input, and so where in the picture an answer points to.

All numbers are fractions: 0 at the top and left, 1 at the bottom and right.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True, slots=True)
class Place:
    """The picture's own edges, as fractions of the input: beyond 0 and 1 where it was cropped."""

    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0

    def y(self, y: float) -> float:
        """Return what is ``y`` in the input as a fraction of the picture."""
        return (y - self.top) / (self.bottom - self.top)

    def x(self, x: float) -> float:
        return (x - self.left) / (self.right - self.left)

    def box(self, top: float, left: float, bottom: float, right: float) -> Box:
        return Box(top=self.y(top), left=self.x(left), bottom=self.y(bottom), right=self.x(right))

    def seen(self, height: int, width: int) -> tuple[slice, slice]:
        """Return which rows and columns of an input-sized grid show some of the picture."""
        return (
            slice(max(0, round(self.top * height)), min(height, round(self.bottom * height))),
            slice(max(0, round(self.left * width)), min(width, round(self.right * width))),
        )
