"""What Q1 costs for a dataset with many accesses: its first page, and the whole answer beside that
of a tenth of them (issue: first page under 20 ms, whole answer linear; here as ratios).
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.crypto import verify
from ledger.encoding import encode_time
from ledger.records import decode_entry
from ledger.records.use import AccessBatchBody, AccessEvent, Source
from tests.bench.measure import Goal, Work, best_cpu_s
from tests.ledger.lives import ANALYST, DAY_MS, Life
from tests.support.reports import Asked, asking

ACCESSES = 100_000
BATCH = 150
PEOPLE = 500
SIGNATURES = 100
FIRST_PAGE_S = 0.020
"""What the first page may take on the machine that the issue has in mind."""
SIGNATURE_S = 0.000_132
"""What one signature takes there (style.md 3.3)."""


def goals() -> Iterator[Goal]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        with _used(ACCESSES, Path(folder) / "many.db") as many:
            life, asked = many
            with _used(ACCESSES // 10, Path(folder) / "few.db") as (_life, few):
                best = best_cpu_s(
                    {
                        "signature": _signatures(life),
                        "first": lambda: _first(asked),
                        "whole": lambda: _whole(asked, ACCESSES),
                        "tenth": lambda: _whole(few, ACCESSES // 10),
                    },
                    rounds=3,
                )
    first, signature = best["first"], best["signature"] / SIGNATURES
    what = f"Q1, first page of {ACCESSES:,} accesses ({first * 1e3:.1f} ms CPU) / 20 ms worth of"
    bound = FIRST_PAGE_S / SIGNATURE_S
    yield Goal(f"reports::first/n={ACCESSES}", f"{what} signatures", first / signature, bound)
    whole = best["whole"] / best["tenth"]
    what = f"Q1, all of {ACCESSES:,} accesses ({best['whole'] * 1e3:.0f} ms CPU) / of a tenth"
    yield Goal(f"reports::whole/n={ACCESSES}", what, whole, 12.0)


def _first(asked: Asked) -> None:
    """The first page of somebody who asks first at this head."""
    fresh = Asked(asked.store, asked.view)
    page = fresh.page("uses", dataset="D1")
    assert page["next"] is not None


def _whole(asked: Asked, count: int) -> None:
    rows = asked("uses", dataset="D1")
    assert sum(row["uses"] for row in rows) == count


def _signatures(life: Life) -> Work:
    access = life.world.access(seq=1)
    entry, key = decode_entry(access), life.world.keys["h1"].system.public_key
    message = entry.statement.to_be_signed

    def work() -> None:
        for _ in range(SIGNATURES):
            verify(entry.statement.alg, key, entry.statement.signature, message)

    return work


@contextmanager
def _used(count: int, path: Path) -> Iterator[tuple[Life, Asked]]:
    """A dataset that many people used so often, under a permit and without one."""
    life = Life()
    life.permit()
    life.step("activate")
    for first in range(0, count, BATCH):
        events = tuple(_event(life, number) for number in range(first, min(first + BATCH, count)))
        life.put("access-batch", AccessBatchBody(events=events), by="system", at_ms=life.now)
    with asking(life, path) as asked:
        yield life, asked


def _event(life: Life, number: int) -> AccessEvent:
    person = number % PEOPLE
    return AccessEvent(
        action="read",
        activity="VIEW",
        at=encode_time(life.now - number % 7 * DAY_MS),
        channel="query",
        dataset="D1@1",
        outcome="ok",
        permit="P-1" if person % 2 else None,
        person=ANALYST if person == 1 else f"ext:ward:{person}",
        source=Source(seq=number + 1, system="gateway"),
    )
