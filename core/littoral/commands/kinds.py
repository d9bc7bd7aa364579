"""Kinds of options that click does not have."""

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """A number within a range; "nan" and "inf" are words that Python takes for some."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 (as click has it)
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found

    def _describe_range(self) -> str:  # click's own says "x<=None" where there is no bound
        return "" if self.min is None and self.max is None else super()._describe_range()
