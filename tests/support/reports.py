"""The questions put to a chain that is made in memory: a store filled with its blocks, a published
head, and the answer as JSON has it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ledger.encoding import b64url
from ledger.notes import encode_note
from ledger.records.use import Used
from node.cosigning import View
from node.merging import USE_KEY, merged
from node.reports import QUESTIONS, Reports
from node.reports.local import Around, Disclosure, Kept, Local
from node.store import Store
from tests.ledger.ledgers import Ledger
from tests.ledger.papers import Papers
from tests.ledger.yields import FILES, OUTPUT, Yield
from tests.node.test_store import fill


class Asked:
    """A store and its head, asked as the routes do."""

    def __init__(self, store: Store, view: View) -> None:
        self.store, self.view = store, view
        self.reports = Reports(store)
        self.around = Around(heard_ms={}, accused={})
        self.kept: list[Kept] = []
        self.read: list[Disclosure] = []
        self.org = "h1"

    @property
    def local(self) -> Local:
        """The node that is asked."""
        return Local(self.org, lambda: self.around, lambda _pid: (self.kept, self.read))

    def page(self, name: str, **params: str) -> dict[str, Any]:
        """One page; a trailing `_` of a parameter's name is not part of it."""
        given = [(key.rstrip("_"), value) for key, value in params.items()]
        page = self.reports.page(self.view, name, given, self.local)
        assert page["head"]["size"] == self.view.tip.size
        assert (page["report"], page["question"]) == (name, QUESTIONS[name].number)
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(page))
        return found

    def export(self, form: str, **params: str) -> dict[str, Any]:
        """Where an object came from in a standard form, as the route sends it."""
        document = self.reports.export(self.view, form, list(params.items()))
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
        return found

    def answer(self, name: str, **params: str) -> dict[str, Any]:
        """All pages as one."""
        page = self.page(name, **params)
        rows = page["rows"]
        while page["next"] is not None:
            page = self.page(name, **params, after=page["next"])
            rows += page["rows"]
        return {**page, "rows": merged(rows, USE_KEY) if name == "uses" else rows}

    def __call__(self, name: str, **params: str) -> list[dict[str, Any]]:
        """The rows of all pages."""
        rows: list[dict[str, Any]] = self.answer(name, **params)["rows"]
        return rows


@contextmanager
def asking(life: Ledger, path: Path) -> Iterator[Asked]:
    """The questions put to this chain at its newest head, kept in a database at this path."""
    fill(path, life.world, life.applied, len(life.applied))
    store = Store.open(path)
    try:
        tip = store.load(life.world.genesis, life.world.bundle, lambda *_: True)
        yield Asked(store, View(tip, life.applied[-1].seal, encode_note(Papers(life).note)))
    finally:
        store.close()


def leaves_of(life: Ledger) -> set[str]:
    """The leaf hashes of all records of a chain."""
    return {b64url(entry.leaf) for block in life.applied for entry in block.entries}


def published() -> Yield:
    """A published result of a run on data that an access bears out and on data that none does."""
    life = Yield()
    life.dataset()
    life.dataset("h2", "D2")
    life.versions = {"D1": life.versions["D1"]}
    life.permit()
    life.step("activate")
    life.access()
    both = (Used(kind="dataset", name="D1@1"), Used(kind="dataset", name="D2@1"))
    life.run(generated=(OUTPUT, *FILES), used=both)
    life.run_leaf = life.leaf
    life.result(indicators=(life.indicator(),))
    life.released()
    life.publish()
    life.confirm(life.claim())
    return life
