"""What the rule state holds: one immutable value for each key of the authenticated map (SPEC 6.2).

A key is `namespace || 0x00 || name`. Keys are never removed; a removed thing has a value that says
so.
"""

from typing import Literal

from ledger.members import EpochConfig
from ledger.provenance import Node
from ledger.records.catalogue import Term
from ledger.records.envelope import Shape
from ledger.records.governance import PolicyBody
from ledger.rules.entitlement import ENTITLEMENT
from ledger.rules.standing import STANDING


class KeyState(Shape, frozen=True, kw_only=True):
    """`key`: a registered key, by kid. Heights are those where the change was recorded; it acts
    from the next.
    """

    alg: int
    capacity: str
    org: str
    public_key: str
    registered: int
    revoked: int | None = None
    subject: str
    suspect_from_ms: int | None = None
    valid_from_ms: int
    valid_until_ms: int | None = None


class MemberState(Shape, frozen=True, kw_only=True):
    """`member`: an organisation, by code; `since` is the height of its last change."""

    kind: str
    region: str | None = None
    since: int
    status: Literal["ADMITTED", "SUSPENDED", "EXITED"]
    uscc: str | None = None


class Count(Shape, frozen=True, kw_only=True):
    """`members`: how many organisations are ADMITTED; quorums are shares of it."""

    n: int


class Holder(Shape, frozen=True, kw_only=True):
    """`uscc`, `alias`, `number`: which organisation, series or record holds a name that must be
    unique.
    """

    by: str


class PolicyState(Shape, frozen=True, kw_only=True):
    """`policy`: `current` is in force until the time of `next` has come; and the record that set
    it.
    """

    body: PolicyBody
    from_ms: int
    height: int
    leaf: str


class Vote(Shape, frozen=True, kw_only=True):
    """A counted signature on a decision: the record's own, or an endorsement."""

    capacity: str
    kid: str
    org: str
    verdict: Literal["approve", "reject"]


class DecisionState(Shape, frozen=True, kw_only=True):
    """`decision`: a rights-conferring record, by leaf hash, and how its co-decision stands.

    `record` is its payload while PENDING: its rules are evaluated again when the deciding
    endorsement arrives.
    """

    committee: int
    deadline_ms: int
    height: int
    kid: str
    members: int
    org: str
    record: str | None = None
    rule: str | None = None
    status: Literal["PENDING", "EFFECTIVE", "REJECTED", "VOID"]
    sub: str
    type: str
    votes: tuple[Vote, ...]


class DatasetState(Shape, frozen=True, kw_only=True):
    """`dataset`: a data resource, by series id."""

    custodian: str
    height: int
    latest: str | None = None
    leaf: str
    versions: int = 0


class Bound(Shape, frozen=True, kw_only=True):
    """Terms that another custodian, whose data a version comes from, still asks for."""

    custodian: str
    terms: tuple[Term, ...]


class VersionState(Shape, frozen=True, kw_only=True):
    """`version`: a version, by `series@version`, and `version-leaf`: the same by leaf hash.

    `bound` goes on to whatever is derived: a version of one's own in between loosens nothing.
    `terms` hold those too that follow from what the data are; `withdrawn` is the height.
    """

    bound: tuple[Bound, ...] = ()
    custodian: str
    leaf: str
    name: str
    terms: tuple[Term, ...] = ()
    withdrawn: int | None = None


class ImportedState(Shape, frozen=True, kw_only=True):
    """`imported`: an agreement taken over from a register of others, by its reference there: `by`
    whom, and whose it is (`org` is no member by that).
    """

    by: str
    datasets: tuple[str, ...]
    height: int
    org: str
    register: str


class SubjectLog(Shape, frozen=True, kw_only=True):
    """`subject`: how many records concern this subject, and the hash chain over their leaf
    hashes.
    """

    count: int
    head: str


class SourceState(Shape, frozen=True, kw_only=True):
    """`source`: an observing system, by `org/system`. `closed` is its last close, `complete` has no
    hole below.
    """

    closed: int
    complete: int
    count: int
    last: int


class SourceChunk(Shape, frozen=True, kw_only=True):
    """`source-chunk`: which of 1,024 consecutive numbers of a source are used, as a bitmap."""

    bits: str


class FindingState(Shape, frozen=True, kw_only=True):
    """`finding`: the open findings of one record, by leaf hash."""

    codes: tuple[str, ...]


class ConfigState(Shape, frozen=True, kw_only=True):
    """`config`: `next` is the newest configuration that took effect, pending while its epoch is
    still to come; under its epoch's number stands each that was activated.

    `height` is where it took effect, or, under a number, that of the boundary block; `ready` names
    the members that declared themselves ready, sorted.
    """

    config: EpochConfig
    height: int
    leaf: str
    ready: tuple[str, ...] = ()


class ReadyState(Shape, frozen=True, kw_only=True):
    """`ready`: the node key, by kid, that declared itself ready; it may be of no epoch yet."""

    height: int
    node_pk: str
    org: str


class EndpointState(Shape, frozen=True, kw_only=True):
    """`endpoint`: where an organisation's node listens, by code."""

    height: int
    leaf: str
    tls_pins: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()


VALUES: dict[str, type[Shape]] = {
    "alias": Holder,
    "config": ConfigState,
    "dataset": DatasetState,
    "decision": DecisionState,
    "endpoint": EndpointState,
    "finding": FindingState,
    "imported": ImportedState,
    "key": KeyState,
    "member": MemberState,
    "members": Count,
    "number": Holder,
    "policy": PolicyState,
    "ready": ReadyState,
    "source": SourceState,
    "source-chunk": SourceChunk,
    "subject": SubjectLog,
    "uscc": Holder,
    "version": VersionState,
    "version-leaf": VersionState,
    "certified": Holder,
    "node": Node,
    **ENTITLEMENT,
    **STANDING,
}
"""Every namespace and the form of its values: stored rows are read back by it."""
