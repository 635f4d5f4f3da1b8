"""What goes into `Consensus.step` and what comes out of it (consensus.md 3.1).

Every event carries `now_ms`, the driver's clock in POSIX milliseconds: consensus has none of its
own.
"""

from typing import Literal, TypeAlias

import msgspec

from ledger.consensus.journal import Row
from ledger.consensus.messages import BlockInfo, Certificate, Fact, Summary, Vote
from ledger.members import EpochConfig

Verdict: TypeAlias = Literal["valid", "invalid", "missing"]


class Durable(msgspec.Struct, frozen=True):
    """What the store holds when a node starts.

    `final` is the newest final block and `certificate` the newest finalization certificate of this
    epoch (None while the anchor is the newest final block). `anchor_certificate` finalizes the
    anchor in the epoch before (None at genesis). `rows` is the journal of this epoch, decoded;
    `blocks` are the saved bodies above `final`, in any order. `in_doubt` puts the node in
    quarantine: its journal is missing, damaged or older than it should be. Give it at each start
    until the first `Persist` after it is durable. `halted` is given at each start after an `Alarm`
    of kind `safety`.
    """

    config: EpochConfig
    anchor: BlockInfo
    final: BlockInfo
    certificate: Certificate | None = None
    anchor_certificate: Certificate | None = None
    rows: tuple[Row, ...] = ()
    blocks: tuple[BlockInfo, ...] = ()
    in_doubt: bool = False
    halted: bool = False
    """Whether two histories were seen to be final, before: then this node never votes again."""


class Started(msgspec.Struct, frozen=True):
    """The first event, once: continue from what was saved."""

    durable: Durable
    pending: int
    now_ms: int


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed; the driver sends it when the deadline of the last `SetTimer` is reached."""

    now_ms: int


class Work(msgspec.Struct, frozen=True, gc=False):
    """How many admitted records stand in no block from the final block up to `Consensus.tip`.

    Sent whenever that number changes. A number that is too old costs time only, never safety.
    """

    pending: int
    now_ms: int


class Health(msgspec.Struct, frozen=True, gc=False):
    """Whether this node's clock is good enough to lead (consensus.md 2.18). Good until the driver
    says otherwise.
    """

    healthy: bool
    now_ms: int


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """Time to say where this node stands: every few seconds, more rarely when idle (2.10).

    `boot_id` (16 bytes) is drawn anew at each start; `version` names the software.
    """

    boot_id: bytes
    version: str
    now_ms: int


class BlockBuilt(msgspec.Struct, frozen=True, gc=False):
    """The answer to `BuildBlock`: a valid, sealed, executed block of at least one record."""

    block: BlockInfo
    now_ms: int


class NothingToBuild(msgspec.Struct, frozen=True, gc=False):
    """The answer to `BuildBlock` when no record can be included on top of that parent."""

    view: int
    now_ms: int


class BlockReceived(msgspec.Struct, frozen=True, gc=False):
    """A block arrived, from a leader or a peer. Its seal's signature is checked; its content is
    not yet.
    """

    block: BlockInfo
    now_ms: int


class BlockChecked(msgspec.Struct, frozen=True, gc=False):
    """The answer to `CheckBlock`. `missing`: the body is not here after all."""

    block: bytes
    verdict: Verdict
    now_ms: int


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message whose every signature `verify_fact` has accepted. `peer` is who brought it (-1:
    unknown).
    """

    fact: Fact
    now_ms: int
    peer: int = -1


class PeerSummary(msgspec.Struct, frozen=True, gc=False):
    """What a peer holds; the answer is a `Send` of what it lacks, and a `Fetch` of what this node
    lacks.
    """

    peer: int
    summary: Summary
    now_ms: int


class Parted(msgspec.Struct, frozen=True, gc=False):
    """A finalization whose every signature is right, of another block than the one that is final
    here at its height, below the newest: the machine knows the newest alone, the driver all.
    """

    certificate: Certificate
    now_ms: int


class Signed(msgspec.Struct, frozen=True, gc=False):
    """The answer to `Sign`."""

    request: int
    signature: bytes
    now_ms: int


class Committed(msgspec.Struct, frozen=True):
    """The answer to `Commit`: the blocks are in the transaction and the state is theirs.

    `config` is the configuration of the next epoch when the last block was a boundary, else None.
    `pending` counts as in `Work`.
    """

    height: int
    pending: int
    now_ms: int
    config: EpochConfig | None = None


Event: TypeAlias = (
    Started
    | Tick
    | Work
    | Health
    | Heartbeat
    | BlockBuilt
    | NothingToBuild
    | BlockReceived
    | BlockChecked
    | Received
    | PeerSummary
    | Parted
    | Signed
    | Committed
)


class Persist(msgspec.Struct, frozen=True):
    """Save these rows (each replaces the row of its epoch and view) and these block bodies, before
    any later `Send`.

    A body that a `Commit` of the same transaction stores, and a row at or below that commit's
    view, need no writing.
    """

    rows: tuple[Row, ...]
    blocks: tuple[bytes, ...]


class Sign(msgspec.Struct, frozen=True, gc=False):
    """Sign `message` with the node key and answer `Signed`. The signature goes nowhere else."""

    request: int
    message: bytes


class Send(msgspec.Struct, frozen=True):
    """Send to one member, or to all others when `to` is None; after all earlier `Persist` are
    durable.

    The driver adds the body of a new block to its `Proposal`.
    """

    to: int | None
    facts: tuple[Fact, ...]


class SetTimer(msgspec.Struct, frozen=True, gc=False):
    """The one deadline: replaces the one before; None cancels it."""

    at_ms: int | None


class BuildBlock(msgspec.Struct, frozen=True, gc=False):
    """Build and seal a block on `parent`. Answer `BlockBuilt` or `NothingToBuild`.

    `view`, `parent_view`, `epoch` and `time_ms` go into the seal as they stand here. `block_bytes`
    and `block_records` are limits, perhaps smaller than those of the epoch.
    """

    parent: BlockInfo
    parent_view: int
    epoch: int
    view: int
    time_ms: int
    block_bytes: int
    block_records: int


class CheckBlock(msgspec.Struct, frozen=True, gc=False):
    """Execute this block on its parent, which is executed already; answer `BlockChecked`."""

    block: BlockInfo


class Fetch(msgspec.Struct, frozen=True, gc=False):
    """Ask peers (first `peer`, unless -1) for what is missing; it comes back as `BlockReceived`
    and `Received`.

    Either one block by id, at height `first` or below, or the final blocks from `first` on with
    their certificates (`block` is None).
    """

    block: bytes | None
    first: int
    peer: int


class Commit(msgspec.Struct, frozen=True):
    """Append `blocks` in one transaction; answer `Committed`.

    `certificate` finalizes the last of them, or, when `blocks` is empty, the newest final block
    once more, in a later view. `justification` are the notarizations and nullifications that lead
    to it: stored beside the blocks, exported with them. Rows of this epoch at or below
    `certificate.view` are obsolete: delete them in the same transaction.
    """

    blocks: tuple[BlockInfo, ...]
    certificate: Certificate
    justification: tuple[Certificate, ...]


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Two signed words of one member that contradict each other: store, and submit as an
    `evidence` record.
    """

    first: Vote
    second: Vote


class Alarm(msgspec.Struct, frozen=True):
    """Something an operator must see. `safety`, `invalid-final` and `rules-version` (an epoch whose
    rules this software does not know) also end this node's voting.
    """

    kind: Literal[
        "safety", "invalid-notarized", "invalid-final", "own-key", "quarantine", "rules-version"
    ]
    proof: tuple[Fact, ...]


Effect: TypeAlias = (
    Persist | Sign | Send | SetTimer | BuildBlock | CheckBlock | Fetch | Commit | Evidence | Alarm
)
