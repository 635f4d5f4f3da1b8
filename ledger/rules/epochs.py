"""G14 to G22: the next configuration, who is ready for it, where nodes listen, and evidence
against members (domain.md D14; definitions.md 1; consensus.md 2.17, 2.19).
"""

import re
from collections.abc import Iterator
from typing import Final

from ledger.consensus import evidence as contradictions
from ledger.consensus.messages import Vote
from ledger.crypto import EDDSA, key_id
from ledger.encoding import b64url, unb64url
from ledger.errors import RefusedError
from ledger.members import EpochConfig, check_config, follows
from ledger.records.envelope import Entry, Record, Shape
from ledger.records.epochs import (
    ConfigBody,
    EndpointBody,
    EvidenceBody,
    ReadyBody,
    SignedWord,
)
from ledger.rules.draft import NEXT_CONFIG, At, Draft, Outcome
from ledger.rules.values import ConfigState, EndpointState, KeyState, ReadyState
from ledger.state import state_key

Changes = dict[bytes, Shape]

KEYS: Final = ("node_pk", "log_pk", "cosigner_pk")
URL: Final = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::[1-9][0-9]{0,4})?",
    re.ASCII,
)


# --- config ---------------------------------------------------------------------------------------


def check_config_record(
    draft: Draft, record: Record[ConfigBody], _org: str, _capacity: str, _at: At
) -> None:
    """R30 to R36, G14, G15."""
    current, following = draft.configs[-1], record.body.config
    # What depends on the state is a refusal: when the committee decides too late, the record is
    # VOID, and the deciding endorsement is recorded all the same.
    if not follows(current, following):
        raise RefusedError("R36", epoch=current.epoch + 1)
    check_config(following)
    for member in following.members:
        state = draft.member(member.org)
        if state is None or state.status == "EXITED":
            raise RefusedError("G14", org=member.org)
    taken = {key: (role, org) for key, role, org in _keys(current)}
    for key, role, org in _keys(following):
        kid = b64url(key_id(EDDSA, unb64url(key, 32)))
        other = taken.get(key, (role, org)) != (role, org)
        if other or draft.get(KeyState, "key", kid) is not None:
            raise RefusedError("G15", org=org, kid=kid)


def _keys(config: EpochConfig) -> Iterator[tuple[str, str, str]]:
    """Every key of a configuration, with its role and organisation."""
    for member in config.members:
        for role in KEYS:
            yield getattr(member, role), role, member.org


def effect_config(_draft: Draft, record: Record[ConfigBody], at: At, leaf: str) -> Changes:
    """The configuration is pending; one that was pending before is not any more, nor are the
    words that members gave for it.
    """
    return {NEXT_CONFIG: ConfigState(config=record.body.config, height=at.height, leaf=leaf)}


# --- ready ----------------------------------------------------------------------------------------


def apply_ready(draft: Draft, entry: Entry, at: At, subjects: tuple[str, ...]) -> Outcome:
    """One member is ready. G16 to G19; the word that completes them activates the configuration
    (consensus.md 2.17, point 2).
    """
    body: ReadyBody = entry.record.body
    org, kid = entry.statement.iss, b64url(entry.statement.kid)
    pending = draft.pending()
    if pending is None or b64url(pending.config.config_hash) != body.config_hash:
        raise RefusedError("G16", config=body.config_hash)
    following = pending.config
    # A member whose node key changes is ready when the new one is there: the old one says nothing.
    member = following.node_kids.get(kid)
    if member is None:
        raise RefusedError("G17", kid=kid)
    if org in pending.ready:
        raise RefusedError("G18", org=org)
    if following.rules_version not in body.rules_versions:
        raise RefusedError("G19", version=following.rules_version)
    ready = tuple(sorted({*pending.ready, org}))
    state = ConfigState(config=following, height=pending.height, leaf=pending.leaf, ready=ready)
    changes: Changes = {
        NEXT_CONFIG: state,
        state_key("ready", kid): ReadyState(height=at.height, node_pk=member.node_pk, org=org),
    }
    if is_ready(draft.configs[-1], following, ready):
        changes[state_key("config", str(following.epoch))] = ConfigState(
            config=following, height=at.height, leaf=pending.leaf, ready=ready
        )
    return Outcome(changes, (), subjects)


def is_ready(current: EpochConfig, following: EpochConfig, ready: tuple[str, ...]) -> bool:
    """Whether every member whose node key is new has said so, and `q` of the new members in all:
    then the new epoch can agree on blocks from its first view on.
    """
    known = {member.node_pk for member in current.members}
    new = {member.org for member in following.members if member.node_pk not in known}
    return new <= set(ready) and len(ready) >= following.q


# --- endpoint -------------------------------------------------------------------------------------


def check_endpoint(
    _draft: Draft, record: Record[EndpointBody], org: str, _capacity: str, _at: At
) -> None:
    """G20, G21."""
    body = record.body
    if body.org != org:
        raise RefusedError("G20", org=body.org)
    for url in body.urls:
        if URL.fullmatch(url) is None:
            raise RefusedError("G21")
    for pin in body.tls_pins:
        unb64url(pin, 32)


def effect_endpoint(_draft: Draft, record: Record[EndpointBody], at: At, leaf: str) -> Changes:
    """Where the node listens from now on."""
    body = record.body
    return {
        state_key("endpoint", body.org): EndpointState(
            height=at.height, leaf=leaf, tls_pins=body.tls_pins, urls=body.urls
        )
    }


# --- evidence -------------------------------------------------------------------------------------


def apply_evidence(
    draft: Draft,
    record: Record[EvidenceBody],
    _org: str,
    _at: At,
    _happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """Two words that contradict each other, checked under the configuration of their epoch.

    Raises `RefusedError` (G22) for an epoch that has not begun or a kind that the words are not
    of, else what `verify_evidence` raises (R20 to R26). The committee says what follows from it.
    """
    body = record.body
    first, second = vote_of(body.first, body.epoch), vote_of(body.second, body.epoch)
    kinds = "-".join(sorted({first.kind, second.kind}))
    if body.epoch >= len(draft.configs) or kinds != body.kind:
        raise RefusedError("G22", epoch=body.epoch, kind=body.kind)
    contradictions.verify_evidence(first, second, draft.configs[body.epoch], draft.verify)
    return Outcome({}, (), subjects)


def vote_of(word: SignedWord, epoch: int) -> Vote:
    """A word of an `evidence` record as consensus knows it; unchecked. Raises `MalformedError`
    (B4).
    """
    return Vote(
        word.kind,
        epoch,
        word.view,
        word.height,
        unb64url(word.block, 32),
        word.signer,
        unb64url(word.signature, 64),
    )
