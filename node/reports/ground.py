"""What the answers of one head stand on: its rule state by namespace, its graph, the records named
in it, and the index below it. Made once for a head, read from many threads.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from ledger.encoding import b64url, decode_statement, encode_time, unb64url
from ledger.errors import AllianceError, NotFoundError
from ledger.provenance import Node, Onward
from ledger.records import decode_entry
from ledger.records.envelope import Record, Shape
from ledger.records.seal import decode_seal
from ledger.rules import VALUES, Draft
from ledger.rules.graph import node_at
from ledger.rules.standing import PermitState, RunState
from ledger.rules.structure import DAY_MS
from ledger.rules.values import (
    DatasetState,
    FindingState,
    ImportedState,
    MemberState,
    VersionState,
)
from ledger.state import state_key
from node.cosigning import View
from node.store import Queries, Store, Uses

V = TypeVar("V", bound=Shape)
LARGE: Final = frozenset({"disease", "source-chunk", "subject", "use-days"})
"""Namespaces that grow with accesses or vocabularies; no question goes through all of one."""
OBJECTS: Final[Mapping[str, Callable[[Any], str]]] = {
    "result": lambda state: state.leaf,
    "version": lambda state: state.leaf,
    "indicator-version": lambda state: state.leaf,
    "certificate": lambda state: state.leaf,
    "permit": lambda state: state.terms.decision,
    "study": lambda state: state.leaf,
    "ethics": lambda state: state.leaf,
    "request": lambda state: state.leaf,
}
"""What people name by name, and the record that stands for it, in the order of looking."""


class Permit(NamedTuple):
    """Whose a permit is."""

    org: str
    study: str | None
    state: PermitState | ImportedState


class Made(NamedTuple):
    """A run, and what came out of it: names, and the leaf hashes of all these records."""

    run: str
    started_ms: int | None
    results: tuple[str, ...]
    publications: tuple[str, ...]
    records: tuple[str, ...]


class Ground:
    """One published head, for all who ask at it."""

    def __init__(self, store: Store, view: View) -> None:
        self.store = store
        self.view = view
        self.tip = view.tip
        self.state = view.tip.state
        self.now_ms = view.tip.time_ms
        self.uses = Uses(store, view.tip.size)
        self.draft = Draft(view.tip.state, {}, view.tip.configs)

    # --- the state ---

    @cached_property
    def _held(self) -> dict[str, dict[str, Shape]]:
        held: dict[str, dict[str, Shape]] = {kind: {} for kind in VALUES}
        for key, value in self.state.items():
            kind, _, name = key.decode().partition("\0")
            if kind not in LARGE:
                held[kind][name] = value  # type: ignore[assignment]  # a state holds shapes
        return held

    def all(self, kind: type[V], namespace: str) -> dict[str, V]:
        """All values of a namespace, by name, sorted."""
        held = self._held[namespace]
        return {name: value for name in sorted(held) if isinstance(value := held[name], kind)}

    def get(self, kind: type[V], namespace: str, name: str) -> V | None:
        """One value, or None."""
        value = self.state.get(state_key(namespace, name))
        return value if isinstance(value, kind) else None

    def member(self, org: str) -> MemberState | None:
        """A member, or None."""
        return self.get(MemberState, "member", org)

    def custodian(self, dataset: str) -> str | None:
        """Who holds a dataset, by its name or that of a version."""
        series = self.get(DatasetState, "dataset", dataset.partition("@")[0])
        return series.custodian if series else None

    def permit(self, name: str) -> Permit | None:
        """A permit, or an agreement that was taken over."""
        state = self.get(PermitState, "permit", name)
        if state is not None:
            return Permit(state.lead_org, state.study, state)
        imported = self.get(ImportedState, "imported", name)
        return None if imported is None else Permit(imported.org, None, imported)

    def permits(self) -> dict[str, Permit]:
        """All of them, by name, sorted."""
        names = sorted({*self._held["permit"], *self._held["imported"]})
        found = ((name, self.permit(name)) for name in names)
        return {name: permit for name, permit in found if permit is not None}

    def findings(self, leaf: str) -> tuple[str, ...]:
        """The open findings of a record."""
        state = self.get(FindingState, "finding", leaf)
        return state.codes if state else ()

    def found(self, leaf: str) -> tuple[str, ...]:
        """The findings that a record came with, whether or not they were resolved since."""
        index = self.index_of(leaf)
        if index is None:
            return ()
        block = self.store.block(self.store.height_of(index))
        return block.findings[index - block.start]

    # --- the graph ---

    @cached_property
    def graph(self) -> Onward:
        """What rests on what."""
        return Onward({node.leaf: node for node in self.all(Node, "node").values()})

    def leaf_of(self, name: str) -> str:
        """The record that a name stands for: its leaf hash, or that of a result, version,
        indicator, certificate, permit, study, approval or request of this name.

        Raises `NotFoundError` (O6).
        """
        if node_at(self.draft, name) is not None:
            return name
        for kind, leaf in OBJECTS.items():
            state = self.state.get(state_key(kind, name.removeprefix(f"{kind}:")))
            if state is not None:
                return leaf(state)
        raise NotFoundError("O6", what="object", name=name[:80])

    def versions(self, dataset: str) -> dict[str, VersionState]:
        """A version by its name, or all versions of a series."""
        found = self.all(VersionState, "version")
        return {
            name: state for name, state in found.items()
            if dataset in (name, name.partition("@")[0])
        }  # fmt: skip

    def descendants(self, dataset: str) -> set[str]:
        """The versions that were derived from a dataset, directly or not."""
        known, found = self.graph.nodes, {state.leaf for state in self.versions(dataset).values()}
        waiting = sorted(found)
        names = set()
        while waiting:
            for rel, leaf in self.graph.next(waiting.pop()):
                if rel == "derived_from" and leaf not in found:
                    found.add(leaf)
                    waiting.append(leaf)
                    names.add(known[leaf].name)
        return names

    @cached_property
    def run_records(self) -> dict[str, list[str]]:
        """The records of each run, by its name."""
        found: dict[str, list[str]] = {}
        for node in self.graph.nodes.values():
            if node.kind == "compute-run":
                found.setdefault(node.name, []).append(node.leaf)
        return found

    @cached_property
    def made(self) -> dict[tuple[str, str, str], list[Made]]:
        """Runs and what came out of them, by dataset, permit and person that they name."""
        found: dict[tuple[str, str, str], list[Made]] = {}
        for name, run in self.all(RunState, "run").items():
            made = self._made(name, run)
            for used in run.used:
                if used.kind == "dataset" and used.name is not None:
                    key = (used.name, run.permit or "", run.person or "")
                    found.setdefault(key, []).append(made)
        return found

    def _made(self, name: str, run: RunState) -> Made:
        runs = self.run_records.get(name, [])
        results = self.after(runs, "generated_by", "result")
        papers = self.after(results, "about", "publication")
        called = self.graph.nodes
        return Made(
            run=name,
            started_ms=run.started_ms,
            results=tuple(sorted({called[leaf].name for leaf in results})),
            publications=tuple(sorted({called[leaf].name for leaf in papers})),
            records=(*runs, *results, *papers),
        )

    def after(self, leaves: Iterable[str], rel: str, kind: str) -> list[str]:
        """The records of a type that stand in this relation to one of these."""
        found = {
            other: None
            for leaf in leaves
            for edge, other in self.graph.next(leaf)
            if edge == rel and self.graph.nodes[other].kind == kind
        }
        return list(found)

    # --- records ---

    def leaf_at(self, index: int) -> str:
        """The leaf hash of an entry."""
        return b64url(self.store.tree.leaf(index))

    def index_of(self, leaf: str) -> int | None:
        """Where a record stands; None for what is no leaf hash of one."""
        try:
            return self.store.find_leaf(unb64url(leaf, 32))
        except AllianceError:
            return None

    def record(self, leaf: str) -> Record[Any] | None:
        """A record by its leaf hash."""
        index = self.index_of(leaf)
        return None if index is None else decode_entry(self.store.entry(index)).record

    def author_of(self, index: int) -> str:
        """Whose entry it is."""
        return decode_statement(self.store.entry(index)).iss

    def recorded_ms(self, index: int) -> int:
        """When the block of an entry was sealed."""
        return self.sealed_ms(self.store.height_of(index))

    def sealed_ms(self, height: int) -> int:
        """When a block was sealed."""
        return decode_seal(self.store.block(height).entries()[-1]).seal.time_ms

    def on_subject(self, subject: str) -> list[int]:
        """The entries on a subject, proven complete. Raises `NotFoundError` (O6)."""
        return Queries(self.store).subject(subject, self.tip.size, self.state)

    def posted(self, subject: str) -> list[int]:
        """The entries on a subject that are no single accesses; none where it is unknown."""
        indexes = Queries(self.store).posted(subject)
        return sorted(index for index in indexes if index < self.tip.size)


def day_of(ms: int) -> str:
    """The day of a time, in UTC."""
    return _day(ms // DAY_MS)


@lru_cache(maxsize=4_096)
def _day(number: int) -> str:
    return encode_time(number * DAY_MS)[:10]
