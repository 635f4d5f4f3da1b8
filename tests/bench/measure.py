"""CPU time of pieces of work that take turns, best of several rounds: noise cancels out."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

ROUNDS = 7

Work = Callable[[], object]


class Goal(NamedTuple):
    """One line of the table: a ratio and its bound."""

    name: str
    what: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def cpu_s(work: Work) -> float:
    """CPU seconds of this process, all threads, for one run."""
    start = time.process_time()
    work()
    return time.process_time() - start


def best_cpu_s(works: Mapping[str, Work], rounds: int = ROUNDS) -> dict[str, float]:
    """The least CPU seconds of each piece of work, the pieces taking turns."""
    best: dict[str, float] = {}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, work in works.items():
            spent = cpu_s(work)
            best[name] = min(spent, best.get(name, spent))
    gc.unfreeze()
    return best
