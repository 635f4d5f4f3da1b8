"""Co-decisions: k-of-n is one mechanism for members, keys, policies and versions (definitions.md 4,
ENDORSE).

A decision has alternatives, any of which is enough; an alternative is a list of needs, all of which
must be met.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ledger.records.governance import PolicyBody
from ledger.rules.draft import Draft
from ledger.rules.values import DecisionState, KeyState, Vote
from ledger.state import state_key

DEFAULT_QUORUM = (2, 3)
MAX_VOTES = 16
"""Votes of one organisation in one capacity that are kept; one, at most two, decide anything."""


class Need(NamedTuple):
    """So many distinct officers (`so`) of one org, one person (`self`) by pid, or, with org None,
    so many distinct ADMITTED orgs (`dac`). Keys of the people in `barred`, and of
    the organisations in `barred_orgs`, do not count.
    """

    number: int
    org: str | None
    person: str | None = None
    barred: frozenset[str] = frozenset()
    barred_orgs: frozenset[str] = frozenset()


Alternatives = tuple[tuple[Need, ...], ...]


def committee_quorum(policy: PolicyBody, kind: str, members: int) -> int:
    """How many organisations the committee needs for a record of this type, by the policy's share
    for the type, else its `default` share, else two thirds.
    """
    share = policy.quorum.get(kind) or policy.quorum.get("default")
    numerator, denominator = share or DEFAULT_QUORUM
    return max(1, -(-numerator * members // denominator))


def count_votes(draft: Draft, votes: Sequence[Vote], need: Need, verdict: str) -> int:
    """Distinct keys of the org or person named, or distinct ADMITTED orgs; under keys in force."""
    given = [v for v in votes if v.verdict == verdict and _counts(draft, v, need)]
    if need.org is not None:
        return len({v.kid for v in given})
    orgs = {v.org for v in given}
    return sum(1 for org in orgs if (m := draft.member(org)) is not None and m.status == "ADMITTED")


def with_vote(
    draft: Draft, votes: tuple[Vote, ...], vote: Vote, alternatives: Alternatives
) -> tuple[Vote, ...]:
    """The votes with one more, where a need asks for it and its organisation has not given
    `MAX_VOTES` in this capacity: every member registers as many keys as it likes, and whoever
    decides next reads all the votes there are.
    """
    asked = any(_counts(draft, vote, need) for needs in alternatives for need in needs)
    given = sum((one.org, one.capacity) == (vote.org, vote.capacity) for one in votes)
    return (*votes, vote) if asked and given < MAX_VOTES else votes


def _counts(draft: Draft, vote: Vote, need: Need) -> bool:
    """Whether a need asks for this vote: its capacity, organisation and person are right, and its
    key is not revoked after the previous block (a decision must not rest on a stolen key).
    """
    wanted = "dac" if need.org is None else "so" if need.person is None else "self"
    if vote.capacity != wanted or need.org not in (None, vote.org):
        return False
    key = draft.parent.get(state_key("key", vote.kid))
    if not isinstance(key, KeyState) or key.revoked is not None:
        return False
    if key.subject in need.barred or vote.org in need.barred_orgs:
        return False
    return need.person in (None, key.subject)


def is_decided(draft: Draft, votes: Sequence[Vote], alternatives: Alternatives) -> bool:
    """Whether one alternative has all that it needs."""
    return any(
        all(count_votes(draft, votes, need, "approve") >= need.number for need in needs)
        for needs in alternatives
    )


def is_impossible(
    draft: Draft, votes: Sequence[Vote], alternatives: Alternatives, members: int
) -> bool:
    """Whether no alternative can be met any more: an officer refused, or too many organisations
    did.
    """

    def lost(need: Need) -> bool:
        against = count_votes(draft, votes, need, "reject")
        able = members - len(need.barred_orgs)
        return against > 0 if need.org is not None else able - against < need.number

    return all(any(lost(need) for need in needs) for needs in alternatives)


def decided(
    state: DecisionState, votes: tuple[Vote, ...], status: str, rule: str | None
) -> DecisionState:
    """The same decision with these votes and status; the payload is kept only while it is
    PENDING.
    """
    return DecisionState(
        committee=state.committee,
        deadline_ms=state.deadline_ms,
        height=state.height,
        kid=state.kid,
        members=state.members,
        org=state.org,
        record=state.record if status == "PENDING" else None,
        rule=rule,
        status=status,  # type: ignore[arg-type]
        sub=state.sub,
        type=state.type,
        votes=votes,
    )
