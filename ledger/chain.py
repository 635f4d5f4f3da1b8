"""The way to accept a block: new, fetched, replayed or audited, it is this `check_block` (SPEC L;
style.md 1.3).

A block is a run of entries that ends in a seal. The seal commits to the entries, to what they did
(findings), to the
state after them, and to the seal before: one hash chain, inside the one tree.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeAlias

from ledger.crypto import EDDSA
from ledger.encoding import b64url, decode_bundle, decode_time, unb64url
from ledger.errors import (
    AllianceError,
    ConflictError,
    ProofError,
    RefusedError,
    SignatureError,
)
from ledger.members import EpochConfig, Verify, check_config
from ledger.merkle import Frontier, tree_hash
from ledger.notes import check_name
from ledger.records import decode_entry
from ledger.records.envelope import Entry, Shape
from ledger.records.governance import FounderAcceptanceBody, GenesisBody
from ledger.records.seal import Previous, Seal, SealEntry, decode_seal, results_leaf
from ledger.rules import (
    RULES_VERSION,
    At,
    Draft,
    Located,
    Outcome,
    Signer,
    apply,
    find_signer,
)
from ledger.rules.governance import (
    check_policy_body,
    check_possession,
    check_uscc,
    key_changes,
    kid_of,
    policy_state,
)
from ledger.rules.subjects import subjects_of
from ledger.rules.values import Count, Holder, MemberState
from ledger.state import EMPTY_STATE, State, state_key

CHAIN_TAG = b"alliance/chain/1\n"

Decode: TypeAlias = Callable[[bytes], Entry]
"""`decode_entry`, or the same from memory."""


class History(Protocol):
    """What is already on the chain: a pure function of the blocks before, kept wherever the caller
    likes.
    """

    def find_ids(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Of these `kid || id` (32 bytes each), those in use, with the leaf hash of their entry."""

    def find_leaves(self, leaves: Sequence[bytes]) -> Mapping[bytes, Located]:
        """Of these leaf hashes, those of records on the chain, and what stands there."""

    def known_leaves(self, leaves: Sequence[bytes]) -> Collection[bytes]:
        """Of these leaf hashes, those of records on the chain. A record may name hundreds, and
        nobody reads old blocks for them.
        """


class Boundary(NamedTuple):
    """The block that closed an epoch, and the configuration of that epoch."""

    config: EpochConfig
    height: int
    seal_index: int
    seal_leaf: bytes


class Tip(NamedTuple):
    """A block and everything that the next one is checked against."""

    config: EpochConfig
    """The configuration in force for the next block; its `chain_id` is filled in."""
    chain: str
    """The short chain id as it stands in records (16 bytes, base64url)."""
    origin: str
    height: int
    view: int
    """The view of the block, as the next one counts: a block that closed an epoch is view 0 of
    the next, as block 0 is of the first.
    """
    time_ms: int
    seal_index: int
    seal_leaf: bytes
    state: State
    tree: Frontier
    boundaries: tuple[Boundary, ...] = ()
    """The ends of all epochs before this one, in order."""

    @property
    def size(self) -> int:
        """The number of entries up to and with the seal."""
        return self.seal_index + 1

    @property
    def configs(self) -> tuple[EpochConfig, ...]:
        """The configurations of all epochs, by number; the last one is in force."""
        return (*(boundary.config for boundary in self.boundaries), self.config)

    @property
    def is_boundary(self) -> bool:
        """Whether this block closed its epoch."""
        return bool(self.boundaries) and self.boundaries[-1].seal_index == self.seal_index

    @property
    def own_config(self) -> EpochConfig:
        """The configuration that this block itself was agreed on and published under: a block that
        closes an epoch belongs to it.
        """
        return self.boundaries[-1].config if self.is_boundary else self.config

    def epoch_of(self, index: int) -> int:
        """The epoch of the entry at an index up to this block's."""
        return sum(boundary.seal_index < index for boundary in self.boundaries)


class Applied(NamedTuple):
    """A block that was accepted: the new tip, and what is worth keeping beside it."""

    tip: Tip
    entries: tuple[Entry, ...]
    seal: SealEntry
    findings: tuple[tuple[str, ...], ...]
    changes: Mapping[bytes, Shape]


class Refusal(NamedTuple):
    """An entry that did not make it into a block in the making, and why."""

    entry: Entry
    error: AllianceError


class _Executed(NamedTuple):
    entries: list[Entry]
    outcomes: list[Outcome]
    draft: Draft
    refusals: list[Refusal]


# --- executing records on a parent
# ------------------------------------------------------------------------------


def _resolve(entries: Sequence[Entry], history: History) -> dict[bytes, Located | None]:
    """Everything on the chain that these entries refer to; for targets, what stands there."""
    resolved: dict[bytes, Located | None] = {}
    targets = {leaf for entry in entries for leaf in entry.targets}
    named = {leaf for entry in entries for leaf in entry.named} - targets
    if named:
        resolved.update(dict.fromkeys(history.known_leaves(sorted(named))))
    if targets:
        resolved.update(history.find_leaves(sorted(targets)))
    return resolved


def _execute(
    parent: Tip, entries: Sequence[Entry], at: At, history: History, verify: Verify, *, stop: bool
) -> _Executed:
    """Apply the entries in order. Refused ones are set aside; with `stop` the first one ends it.

    The record that activates a configuration ends it, too: it is the last of its block (L17).
    """
    taken = dict(history.find_ids([entry.id_key for entry in entries]))
    resolved = _resolve(entries, history)
    draft = Draft(parent.state, resolved, parent.configs, verify)
    done = _Executed([], [], draft, [])
    signers: dict[bytes, Signer] = {}
    index = parent.seal_index + 1
    for entry in entries:
        try:
            signer = _check_author(parent, entry, signers, verify)
            _check_unused(entry, taken.get(entry.id_key))
            outcome = apply(draft, entry, signer, at, parent.chain)
        except AllianceError as error:
            done.refusals.append(Refusal(entry, error))
            if stop:
                break
            continue
        draft.accept(entry.leaf, outcome)
        taken[entry.id_key] = entry.leaf
        statement = entry.statement
        resolved[entry.leaf] = Located(index, entry.record.type, statement.iss, statement.sub)
        index += 1
        done.entries.append(entry)
        done.outcomes.append(outcome)
        if draft.activated is not None:
            break
    return done


def try_entries(
    parent: Tip, entries: Sequence[Entry], time_ms: int, history: History, verify: Verify
) -> list[Refusal]:
    """Which of these entries the rules would refuse in a block on this parent now."""
    at = At(parent.height + 1, max(time_ms, parent.time_ms + 1))
    return _execute(parent, entries, at, history, verify, stop=False).refusals


def _check_unused(entry: Entry, taken: bytes | None) -> None:
    """S6: `(kid, id)` is used once on a chain."""
    if taken is not None:
        raise ConflictError("S6", id=entry.record.id)


def _check_author(
    parent: Tip, entry: Entry, signers: dict[bytes, Signer], verify: Verify
) -> Signer:
    """S3: the signature verifies under a key of the state after the previous block."""
    statement = entry.statement
    signer = signers.get(statement.kid)
    if signer is None:
        signer = find_signer(parent.state, parent.config, b64url(statement.kid))
        signers[statement.kid] = signer
    if not verify(signer.alg, signer.public_key, statement.signature, statement.to_be_signed):
        raise SignatureError("S3.signature", org=statement.iss)
    return signer


class _Roots(NamedTuple):
    entries: bytes
    results: bytes
    state: State
    changes: dict[bytes, Shape]


def _roots(parent: Tip, done: _Executed) -> _Roots:
    leaves = [entry.leaf for entry in done.entries]
    results = [
        results_leaf(leaf, outcome.findings)
        for leaf, outcome in zip(leaves, done.outcomes, strict=True)
    ]
    changes = done.draft.flush()
    return _Roots(tree_hash(leaves), tree_hash(results), parent.state.update(changes), changes)


# --- building ---


class Built(NamedTuple):
    """A block in the making: its seal waits for the proposer's signature."""

    seal: Seal
    done: _Executed
    roots: _Roots

    @property
    def refusals(self) -> list[Refusal]:
        """The entries that were set aside."""
        return self.done.refusals


def build_block(
    parent: Tip,
    candidates: Sequence[Entry],
    *,
    view: int,
    proposer: str,
    time_ms: int,
    history: History,
    verify: Verify,
    parent_view: int | None = None,
) -> Built:
    """A block of those candidates that the rules admit on this parent, in their order.

    `parent_view` is the view of the certificate that this block builds on: later than the parent's
    own view when the parent was proposed again (R5).
    `time_ms` is the proposer's clock; the seal's time is later than the parent's in any case. A
    record that activates a configuration is the last one; candidates after it wait for the next
    epoch. Raises `ProofError` (L15) in an epoch whose rules this software does not know.
    """
    _check_version(parent.config)
    time_ms = max(time_ms, parent.time_ms + 1)
    at = At(parent.height + 1, time_ms)
    chosen = _within_limits(parent.config, candidates)
    done = _execute(parent, chosen, at, history, verify, stop=False)
    roots = _roots(parent, done)
    seal = Seal(
        chain=parent.chain,
        config_hash=b64url(parent.config.config_hash),
        entries_root=b64url(roots.entries),
        epoch=parent.config.epoch,
        height=at.height,
        next_config_hash=_next_hash(done),
        parent_view=parent.view if parent_view is None else parent_view,
        prev=Previous(index=parent.seal_index, leaf=b64url(parent.seal_leaf)),
        proposer=proposer,
        results_root=b64url(roots.results),
        rules_version=parent.config.rules_version,
        start=parent.size,
        state_root=b64url(roots.state.root),
        time_ms=time_ms,
        type="seal",
        v=1,
        view=view,
    )
    return Built(seal, done, roots)


def _next_hash(done: _Executed) -> str | None:
    """What the seal says of the next epoch: the configuration that a record of the block
    activated.
    """
    config = done.draft.activated
    return None if config is None else b64url(config.config_hash)


def _check_version(config: EpochConfig) -> None:
    """L15: nothing is built or judged in an epoch whose rules this software does not know."""
    if config.rules_version != RULES_VERSION:
        raise ProofError("L15", version=config.rules_version, known=RULES_VERSION)


def _within_limits(config: EpochConfig, candidates: Sequence[Entry]) -> list[Entry]:
    """As many candidates from the front as one block may hold."""
    chosen: list[Entry] = []
    size = 0
    for entry in candidates:
        size += len(entry.raw)
        if size > config.limits.block_bytes or len(chosen) == config.limits.block_records:
            break
        chosen.append(entry)
    return chosen


def finish_block(parent: Tip, built: Built, seal: SealEntry) -> Applied:
    """The outcome of one's own block, once its seal is signed: the same as `check_block` gives
    everybody else.
    """
    return _applied(parent, built.done, built.roots, seal)


def _applied(parent: Tip, done: _Executed, roots: _Roots, seal: SealEntry) -> Applied:
    config, boundaries, index = parent.config, parent.boundaries, parent.size + len(done.entries)
    following = done.draft.activated
    if following is not None:
        boundaries = (*boundaries, Boundary(config, seal.seal.height, index, seal.leaf))
        config = following
    tip = parent._replace(
        config=config,
        boundaries=boundaries,
        height=seal.seal.height,
        view=seal.seal.view if following is None else 0,
        time_ms=seal.seal.time_ms,
        seal_index=index,
        seal_leaf=seal.leaf,
        state=roots.state,
        tree=parent.tree.extend([*(entry.leaf for entry in done.entries), seal.leaf]),
    )
    findings = tuple(outcome.findings for outcome in done.outcomes)
    return Applied(tip, tuple(done.entries), seal, findings, roots.changes)


# --- checking ---


def check_block(
    parent: Tip,
    entries: Sequence[bytes],
    history: History,
    verify: Verify,
    decode: Decode = decode_entry,
) -> Applied:
    """The block made of these entries, the last of which is its seal, on top of `parent`.

    Everything is derived anew: links, proposer, signatures, rules, findings, state. `verify` and
    `decode` may answer from memory what they have answered before, and give nothing else than
    `crypto.verify` and `decode_entry` do. Raises `ProofError` (L*) with the index of the entry,
    and the inner rule where an entry breaks one; `MalformedError` for bytes of no known form.
    """
    if len(entries) < 2:
        raise ProofError("L5.empty", height=parent.height + 1)
    _check_version(parent.config)
    seal = decode_seal(entries[-1])
    _check_seal(parent, seal, len(entries) - 1, sum(map(len, entries[:-1])), verify)
    parsed = [_parse(raw, parent.size + i, decode) for i, raw in enumerate(entries[:-1])]
    done = _execute(
        parent, parsed, At(seal.seal.height, seal.seal.time_ms), history, verify, stop=True
    )
    if done.refusals:
        index = parent.size + len(done.entries)
        raise ProofError("L9", index=index, inner=done.refusals[0].error.rule) from done.refusals[
            0
        ].error
    _check_next(seal, done, len(parsed))
    roots = _roots(parent, done)
    _check_roots(seal, roots)
    return _applied(parent, done, roots, seal)


def _check_next(entry: SealEntry, done: _Executed, count: int) -> None:
    """L2, L17: a block closes its epoch exactly when its last record activated a configuration."""
    height = entry.seal.height
    if len(done.entries) < count:
        raise ProofError("L17", height=height)
    if entry.seal.next_config_hash != _next_hash(done):
        raise ProofError("L2", height=height, field="next_config_hash")


def _parse(raw: bytes, index: int, decode: Decode = decode_entry) -> Entry:
    try:
        return decode(raw)
    except AllianceError as error:
        raise ProofError("L9", index=index, inner=error.rule) from error


def _check_seal(parent: Tip, entry: SealEntry, count: int, size: int, verify: Verify) -> None:
    """L2 to L5: the seal follows the parent, is its proposer's, and keeps the limits."""
    seal, config = entry.seal, parent.config
    expected: dict[str, object] = {
        "chain": parent.chain,
        "config_hash": b64url(config.config_hash),
        "epoch": config.epoch,
        "height": parent.height + 1,
        "prev": Previous(index=parent.seal_index, leaf=b64url(parent.seal_leaf)),
        "rules_version": config.rules_version,
        "start": parent.size,
    }
    for field, value in expected.items():
        if getattr(seal, field) != value:
            raise ProofError("L2", height=parent.height + 1, field=field)
    # A parent that was proposed again is built on by the certificate of a later view (R5).
    # The end of an epoch is final before the next one begins, and never proposed again in it.
    if not parent.view <= seal.parent_view or (parent.is_boundary and seal.parent_view != 0):
        raise ProofError("L2", height=seal.height, field="parent_view")
    if seal.view <= seal.parent_view:
        raise ProofError("L2", height=seal.height, field="view")
    if seal.time_ms <= parent.time_ms:
        raise ProofError("L4", height=seal.height)
    if count > config.limits.block_records or size > config.limits.block_bytes:
        raise ProofError("L5.large", height=seal.height)
    _check_proposer(config, entry, config.leader(seal.view), verify)


def _check_proposer(config: EpochConfig, entry: SealEntry, leader: int, verify: Verify) -> None:
    """L3: the seal is signed by the node key of the member whose turn the view is."""
    member, statement = config.members[leader], entry.statement
    node_key = config.node_keys[leader]
    named = (
        entry.seal.proposer == member.org and config.node_kids.get(b64url(statement.kid)) is member
    )
    if not named or statement.alg != EDDSA:
        raise ProofError("L3.leader", height=entry.seal.height, org=member.org)
    if not verify(EDDSA, node_key, statement.signature, statement.to_be_signed):
        raise ProofError("L3.signature", height=entry.seal.height, org=member.org)


def _check_roots(entry: SealEntry, roots: _Roots) -> None:
    """L6 to L8: entries, results and state are what the seal says."""
    seal = entry.seal
    if seal.entries_root != b64url(roots.entries):
        raise ProofError("L6", height=seal.height)
    if seal.results_root != b64url(roots.results):
        raise ProofError("L7", height=seal.height)
    if seal.state_root != b64url(roots.state.root):
        raise ProofError("L8", height=seal.height)


# --- block 0 ---


class Founding(NamedTuple):
    """What the records of block 0 come to, before there is a seal."""

    config: EpochConfig
    chain_id: bytes
    origin: str
    entries: tuple[Entry, ...]
    state: State
    changes: Mapping[bytes, Shape]

    @property
    def chain(self) -> str:
        """The short chain id as it stands in records."""
        return b64url(self.chain_id[:16])


def chain_id_of(payload: bytes) -> bytes:
    """The chain id: a hash over the genesis payload (definitions.md 2)."""
    return sha256(CHAIN_TAG + payload).digest()


def check_draft(raw: bytes, verify: Verify) -> Founding:
    """The genesis alone, as its convener proposes it: what the founders read before they accept it.

    Raises `ProofError` (L9, L10, L12, L14, L15) or what the decoders and key checks raise.
    """
    entry = _parse(raw, 0)
    if entry.record.type != "genesis" or entry.record.chain is not None:
        raise ProofError("L10")
    body: GenesisBody = entry.record.body
    chain_id = chain_id_of(entry.statement.payload)
    config = body.config.with_chain(chain_id)
    decode_time(entry.record.at)
    _check_genesis(body)
    check_config(config)
    for key in body.keys:
        check_possession(key, None, verify)
    _check_officer(body, entry, verify)
    return Founding(config, chain_id, body.origin, (entry,), EMPTY_STATE, {})


def check_acceptance(draft: Founding, entry: Entry, verify: Verify) -> None:
    """L12, L13: one founder's word that this very genesis is theirs."""
    _check_officer(draft.entries[0].record.body, entry, verify)
    acceptance = entry.record
    if acceptance.type != "founder-acceptance" or acceptance.chain != draft.chain:
        raise ProofError("L13", org=entry.statement.iss)
    accepted: FounderAcceptanceBody = acceptance.body
    if accepted.chain_id != b64url(draft.chain_id):
        raise ProofError("L13", org=entry.statement.iss)


def _check_officer(body: GenesisBody, entry: Entry, verify: Verify) -> None:
    """L12: a founding record is signed with an officer's key that the genesis names."""
    statement = entry.statement
    officers = (key for key in body.keys if key.capacity == "so" and key.org == statement.iss)
    key = next((key for key in officers if kid_of(key) == b64url(statement.kid)), None)
    if key is None:
        raise ProofError("L12", org=statement.iss)
    public_key, message = unb64url(key.public_key), statement.to_be_signed
    if not verify(statement.alg, public_key, statement.signature, message):
        raise ProofError("L12", org=statement.iss)


def found(records: Sequence[bytes], verify: Verify) -> Founding:
    """The founding records of block 0, checked: the genesis, then one acceptance of each founder in
    its order.

    Raises `ProofError` (L9 to L15) or what the decoders and key checks raise.
    """
    if not records:
        raise ProofError("L10")
    draft = check_draft(records[0], verify)
    accepted = tuple(_parse(raw, index) for index, raw in enumerate(records[1:], 1))
    body: GenesisBody = draft.entries[0].record.body
    orgs = [entry.statement.iss for entry in accepted]
    if orgs != [founder.org for founder in body.founders]:
        raise ProofError("L11")
    for entry in accepted:
        check_acceptance(draft, entry, verify)
    entries = (*draft.entries, *accepted)
    changes = _first_state(body, entries)
    return draft._replace(entries=entries, state=EMPTY_STATE.update(changes), changes=changes)


def _check_genesis(body: GenesisBody) -> None:
    """L14, L15 and the rules that later records of the same kind must fulfil (G4, G5, G8, G9, N2):
    founders and keys are named once, the founders run the nodes of epoch 0, and they have the
    rules that this software knows.
    """
    check_name(body.origin)
    if body.continues is not None:
        for digest in ("block", "chain_id", "pin", "root"):
            unb64url(getattr(body.continues, digest), 32)
    orgs = [founder.org for founder in body.founders]
    nodes = {member.org for member in body.config.members}
    keys = {key.org for key in body.keys}
    if len(set(orgs)) != len(orgs) or set(orgs) != nodes or keys != nodes:
        raise ProofError("L14")
    if len({kid_of(key) for key in body.keys}) != len(body.keys):
        raise ProofError("L14")
    if body.config.epoch != 0 or body.config.chain_id:
        raise ProofError("L14")
    if body.config.rules_version != RULES_VERSION:
        raise ProofError("L15", version=body.config.rules_version, known=RULES_VERSION)
    check_policy_body(body.policy)
    codes: set[str] = set()
    for founder in body.founders:
        if founder.uscc is not None:
            check_uscc(founder.uscc)
            if founder.uscc in codes:
                raise RefusedError("G5", uscc=founder.uscc)
            codes.add(founder.uscc)


def _first_state(body: GenesisBody, entries: Sequence[Entry]) -> dict[bytes, Shape]:
    """The rule state after block 0: founders, officers' keys, the policy, and the first subject
    logs.
    """
    draft = Draft(EMPTY_STATE, {})
    genesis = entries[0]
    changes: dict[bytes, Shape] = {
        state_key("members", "admitted"): Count(n=len(body.founders)),
        state_key("policy", "current"): policy_state(body.policy, 0, b64url(genesis.leaf)),
    }
    for founder in body.founders:
        changes[state_key("member", founder.org)] = MemberState(
            kind=founder.kind, region=founder.region, since=0, status="ADMITTED", uscc=founder.uscc
        )
        if founder.uscc is not None:
            changes[state_key("uscc", founder.uscc)] = Holder(by=founder.org)
    for key in body.keys:
        changes.update(key_changes(key, 0))
    for entry in entries:
        subjects = subjects_of(entry.statement.iss, entry.record, {})
        draft.accept(entry.leaf, Outcome({}, (), subjects))
    return {**changes, **draft.flush()}


def first_seal(founding: Founding, proposer: str) -> Seal:
    """The seal of block 0; the convener's node signs it (definitions.md 2). Its time is the
    genesis' own.
    """
    leaves = [entry.leaf for entry in founding.entries]
    return Seal(
        chain=founding.chain,
        config_hash=b64url(founding.config.config_hash),
        entries_root=b64url(tree_hash(leaves)),
        epoch=0,
        height=0,
        next_config_hash=None,
        parent_view=0,
        prev=None,
        proposer=proposer,
        results_root=b64url(tree_hash([results_leaf(leaf, ()) for leaf in leaves])),
        rules_version=founding.config.rules_version,
        start=0,
        state_root=b64url(founding.state.root),
        time_ms=decode_time(founding.entries[0].record.at),
        type="seal",
        v=1,
        view=0,
    )


def check_genesis(bundle: bytes, verify: Verify) -> Applied:
    """Block 0 from a genesis file (entry-bundle form). Whoever holds its seal's leaf hash holds the
    pin.

    Raises `ProofError` (L10 to L16) or `MalformedError`.
    """
    raws = decode_bundle(bundle)
    if len(raws) < 3:
        raise ProofError("L10")
    founding = found(raws[:-1], verify)
    entry = decode_seal(raws[-1])
    convener = founding.entries[0].statement.iss
    if entry.seal != first_seal(founding, convener):
        raise ProofError("L16")
    index = next(i for i, member in enumerate(founding.config.members) if member.org == convener)
    _check_proposer(founding.config, entry, index, verify)
    leaves = [*(item.leaf for item in founding.entries), entry.leaf]
    tip = Tip(
        config=founding.config,
        chain=founding.chain,
        origin=founding.origin,
        height=0,
        view=0,
        time_ms=entry.seal.time_ms,
        seal_index=len(leaves) - 1,
        seal_leaf=entry.leaf,
        state=founding.state,
        tree=Frontier().extend(leaves),
    )
    findings = tuple(() for _ in founding.entries)
    return Applied(tip, founding.entries, entry, findings, founding.changes)
