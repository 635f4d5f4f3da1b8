"""How the members agree on the next block, in prose, and how to drive it (SPEC R; consensus.md 2).

**The protocol** is Simplex with a rotating leader. Time is divided into *views*, numbered from 1
in each epoch. In a view its leader may propose one block; each member says at most `notarize`
for one proposal, or `nullify` when the view comes to nothing, or both in that order, and
`finalize` once it sees that a quorum notarized and it has not nullified. A quorum of equal words
is a *certificate*: N (notarization), X (nullification) or F (finalization).

A member leaves a view only by N or X of that view (R2), so members cannot drift apart. A new
block names the view u of the certificate of its parent, and all views between u and its own must
have an X: then no finalized block can have been passed over, because a member that finalized in
a view never nullified it (R7, R8), and two quorums share a member who tells the truth. F of a
block makes it final with all its ancestors (R10). There are no locks, no empty blocks and no
view changes to negotiate.

**Work.** Timers run only while a record waits or the best tip is not final. A tip that was
notarized but never finalized, with nothing left to build, is proposed again, the same block in a
later view (R5). Without work nobody says anything.

**Durability.** A word is written to the journal before it is signed, and the certificates that
justify it with it. A member that lost its journal must not vote until it knows from others how
far it may have gone (quarantine).

**The machine** is `Consensus.step(event) -> list[Effect]`: no clock, no chance, no I/O and no
cryptography inside. It is fed only with authentic facts and knows of a block only what
`BlockInfo` holds. Whatever arrives twice, late or in another order leads to the same place.

**How to drive it.** One loop, one writer:

1. Build `Consensus(node_key)` (two keys while they change), step `Started(Durable(...))` with what
   the store holds.
2. Take a batch of inputs: admitted records (`Work`, with the number of records that stand in no
   block up to `tip`), messages (`Received`, after `verify_fact`), blocks (`BlockReceived`, after
   the seal's signature is checked; *before* the `Proposal` that brought them), peers' summaries
   (`PeerSummary`), time (`Tick`). Step each. A finalization below the newest final block, of
   another block than the store has there, is `Parted` instead.
3. Go through the effects in order, and step the answers *in the same batch*, until none are left:
   `Sign` -> sign now -> `Signed`; `BuildBlock` -> build, execute and seal -> `BlockBuilt` or
   `NothingToBuild`; `CheckBlock` -> execute on its parent's state -> `BlockChecked`; `Commit` ->
   append to the open transaction -> `Committed`. `Persist` -> add to the open transaction: rows
   are keyed by (epoch, view), the last one wins. `Send`, `Fetch`, `Alarm` and `Evidence` are kept
   for later; `SetTimer` replaces the deadline.
4. Commit the transaction: one fsync for the whole batch. A `Commit` removes the journal rows of
   its epoch at or below the view of its certificate and the saved bodies at or below its height,
   so with one member not a single journal row is ever written.
5. Only now send what is to be sent, in order, and answer the callers.

Answers may also come in a later batch (a slow signer, a pool that executes blocks): the order of
effects within each batch is all that matters. If the transaction fails, stop: the machine is
ahead of the disk and must be started anew. `tests/ledger/test_consensus.py` holds a complete
driver for one member in forty lines.

`Work` may be too old: the count costs time, never safety. When `tip` has changed after a batch,
count again and send `Work`. Every `sync_ms` send `summary()` to peers; they answer through
`PeerSummary`. `Fetch(block=None, first=h)` asks for final blocks from height h on: a peer
answers with the blocks in order, their certificates, and F of the last one; feed them as
`BlockReceived` and `Received`, there is no other way in.
"""

from ledger.consensus.events import (
    Alarm,
    BlockBuilt,
    BlockChecked,
    BlockReceived,
    BuildBlock,
    CheckBlock,
    Commit,
    Committed,
    Durable,
    Effect,
    Event,
    Evidence,
    Fetch,
    Health,
    Heartbeat,
    NothingToBuild,
    Parted,
    PeerSummary,
    Persist,
    Received,
    Send,
    SetTimer,
    Sign,
    Signed,
    Started,
    Tick,
    Work,
)
from ledger.consensus.evidence import (
    contradict,
    contradicting,
    fork_culprits,
    verify_evidence,
)
from ledger.consensus.journal import Row, decode_journal, encode_journal
from ledger.consensus.machine import Consensus, Timing
from ledger.consensus.messages import (
    BlockInfo,
    Certificate,
    Fact,
    Proposal,
    Status,
    Summary,
    Vote,
    certificate_signers,
    decode_certificate,
    decode_fact,
    decode_summary,
    encode_certificate,
    encode_fact,
    encode_summary,
    signed_bytes,
    status_bytes,
    verify_certificate,
    verify_fact,
)
from ledger.consensus.runs import check_run

__all__ = [
    "Alarm",
    "BlockBuilt",
    "BlockChecked",
    "BlockInfo",
    "BlockReceived",
    "BuildBlock",
    "Certificate",
    "CheckBlock",
    "Commit",
    "Committed",
    "Consensus",
    "Durable",
    "Effect",
    "Event",
    "Evidence",
    "Fact",
    "Fetch",
    "Health",
    "Heartbeat",
    "NothingToBuild",
    "Parted",
    "PeerSummary",
    "Persist",
    "Proposal",
    "Received",
    "Row",
    "Send",
    "SetTimer",
    "Sign",
    "Signed",
    "Started",
    "Status",
    "Summary",
    "Tick",
    "Timing",
    "Vote",
    "Work",
    "certificate_signers",
    "check_run",
    "contradict",
    "contradicting",
    "decode_certificate",
    "decode_fact",
    "decode_journal",
    "decode_summary",
    "encode_certificate",
    "encode_fact",
    "encode_journal",
    "encode_summary",
    "fork_culprits",
    "signed_bytes",
    "status_bytes",
    "verify_certificate",
    "verify_evidence",
    "verify_fact",
]
