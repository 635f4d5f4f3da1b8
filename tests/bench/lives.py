"""What the rules cost for each record of a data use, without its signature and its bytes: an access
and a batch under a permit, a decision, a request (issue: under 50 us for an access, 200 us for a
decision; here as ratios to checking one signature).
"""

from collections.abc import Callable, Iterator
from typing import Any

from ledger.crypto import verify
from ledger.encoding import b64url, encode_time
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from ledger.records.use import AccessBatchBody, AccessBody, AccessEvent, Source
from ledger.rules import At, Draft, apply, find_signer
from tests.bench.measure import Goal, best_cpu_s
from tests.ledger.lives import ANALYST, Life

COUNT = 500
Applied = Callable[[], object]


def goals() -> Iterator[Goal]:
    """The lines of the table."""
    life = Life()
    life.permit()
    life.step("activate")
    reviews = tuple(one.leaf for one in life.value("request", "R-1").opinions[1:])
    refs = (life.agreed_resolution(),)
    amends = life.value("permit", "P-1").terms.decision
    decision = life.decision_body(reviews=reviews, amends=amends)
    accesses = [_signed(life, "access", _access(n), by="system") for n in range(COUNT)]
    decided = _signed(life, "access-decision", decision, by="committee", refs=refs)
    asked = _signed(life, "access-request", life.request_body(request_id="R-2"))
    batch = _signed(life, "access-batch", _batch(life), by="system")
    entry, key = accesses[0], life.world.keys["h1"].system.public_key
    message = entry.statement.to_be_signed

    def signatures() -> None:
        for _ in range(COUNT):
            verify(entry.statement.alg, key, entry.statement.signature, message)

    best = best_cpu_s(
        {
            "signature": signatures,
            "access": _applying(life, accesses),
            "batch": _applying(life, [batch] * (COUNT // 10)),
            "decision": _applying(life, [decided] * COUNT),
            "request": _applying(life, [asked] * COUNT),
        }
    )
    one = best["signature"] / COUNT
    counts = {"access": COUNT, "batch": COUNT // 10, "decision": COUNT, "request": COUNT}
    bounds = {"access": 0.4, "batch": 15.0, "decision": 1.6, "request": 1.6}
    for name, bound in bounds.items():
        spent = best[name] / counts[name]
        what = f"rules of one {name} / one signature ({spent * 1e6:.0f} us CPU)"
        yield Goal(f"rules::apply/{name}", what, spent / one, bound)


def _access(number: int) -> AccessBody:
    return AccessBody(
        action="read",
        activity="VIEW",
        channel="query",
        dataset="D1@1",
        outcome="ok",
        permit="P-1",
        person=ANALYST,
        source=Source(seq=number + 1, system="gateway"),
    )


def _batch(life: Life) -> AccessBatchBody:
    """150 events under the permit, each at a time of its own."""
    events = tuple(
        AccessEvent(
            action="read",
            activity="VIEW",
            at=encode_time(life.now - number),
            channel="query",
            dataset="D1@1",
            outcome="ok",
            permit="P-1",
            person=ANALYST,
            source=Source(seq=number + 1, system="gateway"),
        )
        for number in range(150)
    )
    return AccessBatchBody(events=events)


def _signed(life: Life, kind: str, body: Any, **fields: Any) -> Entry:  # noqa: ANN401
    return decode_entry(life.sign(kind, body, at_ms=life.now, **fields))


def _applying(life: Life, entries: list[Entry]) -> Applied:
    """Apply all to one draft, as a block does."""
    tip = life.tip
    at = At(tip.height + 1, life.now + 1_000)
    signer = find_signer(tip.state, tip.config, b64url(entries[0].statement.kid))
    named = [leaf for entry in entries for leaf in entry.named]
    resolved = dict(life.blocks.find_leaves(named))

    def work() -> None:
        draft = Draft(tip.state, resolved, tip.configs)
        for entry in entries:
            draft.accept(entry.leaf, apply(draft, entry, signer, at, tip.chain))
            if entry.record.type in ("access-decision", "access-request"):
                draft.changes.clear()

    return work
