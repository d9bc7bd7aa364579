"""The parts of a request that are measured, in the order in which they happen."""

from typing import Final

STAGES: Final = ("queue", "preprocess", "invoke", "postprocess")
