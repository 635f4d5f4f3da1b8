"""Who must be named for an object, and how its recognition is shared out (domain.md D7 to D9).

Two answers that are never mixed. The *acknowledgement set* is everybody who is reached; no
parameter takes anybody off it. The *share vector* is 10,000 basis points, worked out in exact
arithmetic under the parameters of one policy: pools, each a set of whole-number weights; then
rounding by largest remainder, ties by the hash of the party's name. Nothing here knows a clock, a
state or a float, so every node and every auditor gets the same digits.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from math import lcm, prod
from typing import Final, NamedTuple

from ledger.encoding import b64url
from ledger.errors import RefusedError, ensure
from ledger.merkle import tree_hash
from ledger.provenance import Node, Part, Relation, Role, Walk
from ledger.records.envelope import ENCODE, Shape
from ledger.records.governance import Attribution

TOTAL: Final = 10_000
"""Basis points of one object."""
POOLS: Final = ("analysis", "clinical", "compute", "holding", "standards", "stewardship")
DATASET: Final = "dataset-version"
INDICATOR: Final = "indicator-version"
RESULT: Final = "result"
RUN: Final = "compute-run"

CREDITED: Final[frozenset[Relation]] = frozenset(
    {"derived_from", "for_study", "generated_by", "under_permit", "used", "uses_indicator"}
)
"""Credit goes along these relations (domain.md D8), not to what a record replaces or is about."""


CONTRIBUTOR_TYPE: Final[Mapping[Role, str]] = {
    "analyst": "Researcher",
    "author": "Producer",
    "compute_provider": "HostingInstitution",
    "contributor": "DataCollector",
    "curator": "DataCurator",
    "custodian": "RightsHolder",
    "funder": "Sponsor",
    "steward": "DataManager",
    "team_member": "ProjectMember",
}
"""DataCite's word for each role."""


class Acknowledgement(Shape, frozen=True, kw_only=True):
    """One party, for one role in one object. `via` is the record through which the object was
    reached: following it gives the path to the start.
    """

    contributor_type: str
    credit_role: str | None = None
    degree: str | None = None
    leaf: str
    local_role: str | None = None
    object: str
    party: str
    role: str
    via: str | None = None


class Share(Shape, frozen=True, kw_only=True):
    """What one party gets. `pools` are thousandths of a basis point, rounded down, for reading;
    `basis_points` is what counts. A held share is neither paid nor given to others.
    """

    basis_points: int
    held: bool = False
    party: str
    pools: dict[str, int]


class Shares(Shape, frozen=True, kw_only=True):
    """The share vector: rows by party, and the size of each pool after the empty ones were spread
    (thousandths of a basis point, rounded down).
    """

    pools: dict[str, int]
    rows: tuple[Share, ...]


class Calculation(Shape, frozen=True, kw_only=True):
    """All that went into an attribution and all that came out; certificates carry its digest."""

    acknowledgements: tuple[Acknowledgement, ...]
    nodes: tuple[Node, ...]
    object: str
    parameters: Attribution
    policy: str
    shares: Shares

    @property
    def digest(self) -> str:
        """`calc_digest`: SHA-256 over a tag and the canonical JSON."""
        return b64url(sha256(b"alliance/calculation/1\n" + ENCODE(self)).digest())

    @property
    def ack_root(self) -> str:
        """The tree hash over the acknowledgements, one leaf for each."""
        return _root(self.acknowledgements)

    @property
    def share_root(self) -> str:
        """The tree hash over the shares, one leaf for each."""
        return _root(self.shares.rows)


def _root(rows: Iterable[Shape]) -> str:
    return b64url(tree_hash([sha256(b"\x00" + ENCODE(row)).digest() for row in rows]))


def calculate(
    walk: Walk, start: str, parameters: Attribution, policy: str, held: Collection[str] = ()
) -> Calculation:
    """The whole attribution of the object at the start of a backward walk, under the parameters of
    the policy with this leaf hash.

    Raises `RefusedError` (W2) when nobody contributed anything.
    """
    return Calculation(
        acknowledgements=acknowledge(walk),
        nodes=tuple(walk.nodes[leaf] for leaf in sorted(walk.nodes)),
        object=start,
        parameters=parameters,
        policy=policy,
        shares=share_out(walk.nodes, parameters, held),
    )


# --- the acknowledgement set ---


def acknowledge(walk: Walk) -> tuple[Acknowledgement, ...]:
    """Everybody reached, once for each role and object (domain.md D8), also where no share goes."""
    rows = [
        Acknowledgement(
            contributor_type=CONTRIBUTOR_TYPE[part.role],
            credit_role=part.credit_role,
            degree=part.degree,
            leaf=part.leaf,
            local_role=part.local_role,
            object=leaf,
            party=part.party,
            role=part.role,
            via=walk.steps[leaf].via,
        )
        for leaf, node in walk.nodes.items()
        for part in node.parts
    ]
    return tuple(sorted(rows, key=lambda row: (row.party, row.role, row.object, row.leaf)))


def acknowledgement_root(walk: Walk) -> str:
    """`ack_root` of what a backward walk reached."""
    return _root(acknowledge(walk))


# --- the share vector ---

Weights = dict[str, int]
"""Whole-number weights by party: a party's part of a pool is its weight over their sum."""


def share_out(
    nodes: Mapping[str, Node],
    parameters: Attribution,
    held: Collection[str] = (),
    measured: Mapping[str, int] | None = None,
) -> Shares:
    """The share vector over these nodes, all of which were reached (domain.md D9, steps 1 to 9).

    `held` are the parties of open disputes. `measured` replaces the equal split between the roots
    by weights that all their custodians signed. Raises `RefusedError` (W2, W3).
    """
    kept = _holding(nodes, parameters, measured)
    pools = _pools(nodes, kept, parameters)
    listed = {part.party: 0 for node in nodes.values() for part in node.parts}
    return _rounded(pools, parameters, listed, held)


def _pools(
    nodes: Mapping[str, Node], kept: Mapping[str, int], parameters: Attribution
) -> dict[str, Weights]:
    """The weights of every pool that has any (domain.md D9, steps 3 to 7)."""
    holding: Weights = {}
    compute: Weights = {}
    for leaf, amount in kept.items():
        _add(holding, custodian_of(nodes[leaf]), amount)
    runs = [node for node in nodes.values() if node.kind == RUN]
    for run in runs:
        for part in run.parts:
            if part.role == "compute_provider":
                _add(compute, part.party, 1)
    stewards = {part.party for leaf in kept for part in nodes[leaf].parts if part.role == "steward"}
    clinical = [(amount, nodes[leaf].parts) for leaf, amount in kept.items()]
    standards = [(1, node.parts) for node in nodes.values() if node.kind == INDICATOR]
    analysis = [(1, node.parts) for node in nodes.values() if node.kind == RESULT]
    found = {
        "analysis": _by_degree(analysis, "analyst", parameters),
        "clinical": _by_degree(clinical, "contributor", parameters),
        "compute": compute,
        "holding": holding,
        "standards": _by_degree(standards, "author", parameters),
        "stewardship": dict.fromkeys(stewards, 1),
    }
    return {name: weights for name, weights in found.items() if sum(weights.values()) > 0}


def _add(weights: Weights, party: str, amount: int) -> None:
    weights[party] = weights.get(party, 0) + amount


def custodian_of(dataset: Node) -> str:
    """The one party that holds a dataset."""
    for part in dataset.parts:
        if part.role == "custodian":
            return part.party
    raise RefusedError("W4", leaf=dataset.leaf)


def _by_degree(
    groups: Sequence[tuple[int, Sequence[Part]]], role: Role, parameters: Attribution
) -> Weights:
    """Weights of the confirmed parties of these objects: between objects by the given weight,
    inside an object by degree. Several parts of one party in one object count once, by the highest.
    """
    inside: list[tuple[int, Weights]] = []
    for amount, parts in groups:
        degrees: Weights = {}
        for part in parts:
            if part.role == role and part.degree is not None:
                weight = getattr(parameters.degrees, part.degree)
                degrees[part.party] = max(weight, degrees.get(part.party, 0))
        if amount and sum(degrees.values()):
            inside.append((amount, degrees))
    common = lcm(*(sum(degrees.values()) for _, degrees in inside))
    weights: Weights = {}
    for amount, degrees in inside:
        factor = amount * (common // sum(degrees.values()))
        for party, degree in degrees.items():
            _add(weights, party, factor * degree)
    return weights


def _rounded(
    pools: Mapping[str, Weights],
    parameters: Attribution,
    listed: Weights,
    held: Collection[str],
) -> Shares:
    """Basis points by largest remainder: each party's exact amount is a whole number of parts, of
    which `one` make a basis point.
    """
    sizes = {name: getattr(parameters.pools, name) for name in pools}
    spread = sum(sizes.values())
    if spread == 0:
        raise RefusedError("W2")
    common = lcm(*(sum(weights.values()) for weights in pools.values()))
    one = spread * common
    exact = dict(listed)
    parts: dict[str, dict[str, int]] = {party: {} for party in listed}
    for name, weights in pools.items():
        factor = TOTAL * sizes[name] * (common // sum(weights.values()))
        for party, weight in weights.items():
            if factor and weight:
                _add(exact, party, factor * weight)
                parts[party][name] = 1000 * factor * weight // one
    ensure(sum(exact.values()) == TOTAL * one, "shares add up to the whole")
    points = {party: amount // one for party, amount in exact.items()}
    left = TOTAL - sum(points.values())
    order = sorted(exact, key=lambda party: (-(exact[party] % one), _tie(party)))
    for party in order[:left]:
        points[party] += 1
    rows = tuple(
        Share(basis_points=points[party], held=party in held, party=party, pools=parts[party])
        for party in sorted(points)
    )
    return Shares(
        pools={name: 1000 * TOTAL * size // spread for name, size in sizes.items() if size},
        rows=rows,
    )


def _tie(party: str) -> bytes:
    return sha256(party.encode()).digest()


# --- the flow of holding ---


class _Amount(NamedTuple):
    """`number` over a product of small primes, kept as their powers: never a big common divisor."""

    number: int
    over: dict[int, int]


def roots_of(nodes: Mapping[str, Node], *, count_once: bool) -> tuple[str, ...]:
    """The datasets that the runs used with two-sided evidence; with `count_once` none that another
    of them was derived from (domain.md D9, step 2). A dataset that is the object is its own root.
    """
    used = {
        edge.leaf
        for node in nodes.values()
        if node.kind == RUN
        for edge in node.edges
        if edge.rel == "used" and edge.counts and _is_dataset(nodes, edge.leaf)
    }
    if not any(node.kind in (RUN, RESULT) for node in nodes.values()):
        derived = {leaf for node in nodes.values() for leaf in _sources(nodes, node)}
        used = {leaf for leaf, node in nodes.items() if node.kind == DATASET} - derived
    if not count_once:
        return tuple(sorted(used))
    above: set[str] = set()
    stack = [leaf for root in used for leaf in _sources(nodes, nodes[root])]
    while stack:
        leaf = stack.pop()
        if leaf not in above:
            above.add(leaf)
            stack.extend(_sources(nodes, nodes[leaf]))
    return tuple(sorted(used - above))


def _is_dataset(nodes: Mapping[str, Node], leaf: str) -> bool:
    node = nodes.get(leaf)
    return node is not None and node.kind == DATASET


def _sources(nodes: Mapping[str, Node], dataset: Node) -> tuple[str, ...]:
    found = {edge.leaf for edge in dataset.edges if edge.rel == "derived_from"}
    return tuple(sorted(leaf for leaf in found if leaf in nodes))


def _divisors(nodes: Mapping[str, Node], leaves: Collection[str]) -> list[tuple[str, int]]:
    """Each dataset with the number by which an equal split divides: custodians, then that
    custodian's datasets, so that cutting a dataset into ten gains nothing.
    """
    custodians = {leaf: custodian_of(nodes[leaf]) for leaf in leaves}
    counts: Weights = {}
    for custodian in custodians.values():
        _add(counts, custodian, 1)
    return [(leaf, len(counts) * counts[custodian]) for leaf, custodian in custodians.items()]


def _holding(
    nodes: Mapping[str, Node], parameters: Attribution, measured: Mapping[str, int] | None
) -> dict[str, int]:
    """What stays with each dataset, as whole numbers of one common part (domain.md D9, step 3)."""
    roots = roots_of(nodes, count_once=parameters.direct_and_derived == "count_once")
    flow = {
        leaf: _Amount(number, {}) for leaf, number in _root_weights(nodes, roots, measured).items()
    }
    keep, of = parameters.kappa
    kept: dict[str, _Amount] = {}
    for leaf in _by_derivation(nodes, roots):
        number, over = flow[leaf]
        sources = _sources(nodes, nodes[leaf])
        if not sources:
            kept[leaf] = flow[leaf]
            continue
        kept[leaf] = _Amount(number * keep, _times(over, of))
        for source, divisor in _divisors(nodes, sources):
            passed = _Amount(number * (of - keep), _times(over, of * divisor))
            flow[source] = _sum(flow[source], passed) if source in flow else passed
    common: dict[int, int] = {}
    for amount in kept.values():
        common = _common(common, amount.over)
    return {leaf: amount.number * _lift(common, amount.over) for leaf, amount in kept.items()}


def _root_weights(
    nodes: Mapping[str, Node], roots: Sequence[str], measured: Mapping[str, int] | None
) -> Weights:
    """How the whole is split between the roots: equally by custodian, or as measured. W3."""
    if measured is not None:
        if set(measured) != set(roots) or min(measured.values(), default=1) < 1:
            raise RefusedError("W3")
        return dict(measured)
    split = _divisors(nodes, roots)
    common = lcm(*(divisor for _, divisor in split))
    return {leaf: common // divisor for leaf, divisor in split}


def _by_derivation(nodes: Mapping[str, Node], roots: Sequence[str]) -> list[str]:
    """The roots and all that they come from, each before its sources."""
    waiting: Weights = dict.fromkeys(roots, 0)
    stack = list(roots)
    while stack:
        for source in _sources(nodes, nodes[stack.pop()]):
            if source not in waiting:
                waiting[source] = 0
                stack.append(source)
            waiting[source] += 1
    ready = [leaf for leaf in roots if not waiting[leaf]]
    order: list[str] = []
    while ready:
        leaf = ready.pop()
        order.append(leaf)
        for source in _sources(nodes, nodes[leaf]):
            waiting[source] -= 1
            if not waiting[source]:
                ready.append(source)
    ensure(len(order) == len(waiting), "references are hashes: no dataset comes from itself")
    return order


@lru_cache(maxsize=4096)
def _powers(number: int) -> tuple[tuple[int, int], ...]:
    """The prime powers of a small number."""
    found: list[tuple[int, int]] = []
    prime = 2
    while prime * prime <= number:
        power = 0
        while number % prime == 0:
            number //= prime
            power += 1
        if power:
            found.append((prime, power))
        prime += 1
    return (*found, (number, 1)) if number > 1 else tuple(found)


def _times(over: dict[int, int], factor: int) -> dict[int, int]:
    multiplied = dict(over)
    for prime, power in _powers(factor):
        multiplied[prime] = multiplied.get(prime, 0) + power
    return multiplied


def _common(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    if one == other:
        return one
    return {prime: max(one.get(prime, 0), other.get(prime, 0)) for prime in one | other}


def _lift(common: dict[int, int], over: dict[int, int]) -> int:
    """By what a number over `over` is multiplied to stand over `common`."""
    return prod(prime ** (power - over.get(prime, 0)) for prime, power in common.items())


def _sum(one: _Amount, other: _Amount) -> _Amount:
    common = _common(one.over, other.over)
    number = one.number * _lift(common, one.over) + other.number * _lift(common, other.over)
    return _Amount(number, common)
