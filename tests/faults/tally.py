"""What a harness tried, and what its oracle found."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts, and a line for each finding."""

    runs: int = 0
    count: Counter[str] = field(default_factory=Counter)  # of what was done
    points: Counter[str] = field(default_factory=Counter)  # where it could be: by scenario
    bad: Counter[str] = field(default_factory=Counter)  # runs, by kind of finding
    found: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, object]] = field(default_factory=dict)  # of single runs

    def blame(self, where: object, wrong: list[str]) -> None:
        """Count a run, and what is wrong after it: each line begins with its kind."""
        self.runs += 1
        for kind in {one.partition(":")[0] for one in wrong}:
            self.bad[kind] += 1
        self.found += [f"{where}: {one}" for one in wrong]
