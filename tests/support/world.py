"""A founded chain made at run time, with keys from seeds: what most tests start from.

    world = make_world()                        # one member, `h1`; or make_world(("h1", "h2"))
    raw = world.access(seq=7, dataset="GTEx")   # a signed entry, as bytes
    raw = world.record("dataset", DatasetBody(...), by="officer")
    next_block = world.extend(world.genesis.tip, [raw], history)

Nothing here is random: the same arguments give the same bytes.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from ledger.chain import (
    Applied,
    History,
    Tip,
    build_block,
    check_genesis,
    finish_block,
    first_seal,
    found,
)
from ledger.crypto import EDDSA, Signer, signer_from_seed, verify
from ledger.encoding import (
    b64url,
    encode_bundle,
    encode_protected,
    encode_statement,
    encode_time,
    signature_input,
)
from ledger.members import EpochConfig, Limits, Member, default_quorum
from ledger.records import decode_entry
from ledger.records.envelope import ENCODE, Record, Shape
from ledger.records.governance import (
    AllianceName,
    Founder,
    FounderAcceptanceBody,
    GenesisBody,
    KeyDescription,
    PolicyBody,
    claim_bytes,
    claim_of,
)
from ledger.records.seal import Seal, SealEntry, decode_seal, encode_seal
from ledger.records.use import AccessBatchBody, AccessBody, AccessEvent, Source
from ledger.rules import Located
from ledger.rules.subjects import subjects_of

ORIGIN = "chain.example.org/critical-care"
GENESIS_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
LIMITS = Limits(block_bytes=8 << 20, block_records=4_096, min_interval_ms=0)
ROLES = ("node", "log", "cosigner", "officer", "committee", "system")
CAPACITIES = {"officer": "so", "committee": "dac", "system": "system"}


def seed(*parts: object) -> bytes:
    """32 bytes that depend on the parts alone."""
    return sha256(repr(parts).encode()).digest()


def uuid7(at_ms: int, number: int) -> str:
    """A UUIDv7 of this time whose random bits are `number`."""
    value = (
        (at_ms << 80)
        | (7 << 76)
        | ((number >> 62 & 0xFFF) << 64)
        | (2 << 62)
        | (number & (1 << 62) - 1)
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Keys(NamedTuple):
    """All signers of one organisation."""

    node: Signer
    log: Signer
    cosigner: Signer
    officer: Signer
    committee: Signer
    system: Signer


class World:
    """A founded chain: `genesis` as `check_genesis` gives it, its file, and everybody's signers."""

    def __init__(self, bundle: bytes, keys: Mapping[str, Keys]) -> None:
        self.bundle = bundle
        self.genesis: Applied = check_genesis(bundle, verify)
        self.keys = keys
        self.org = next(iter(keys))
        self._count = 0

    @property
    def config(self) -> EpochConfig:
        """The EpochConfig of epoch 0."""
        return self.genesis.tip.config

    def record(
        self,
        kind: str,
        body: Shape,
        *,
        by: str | Signer = "officer",
        org: str | None = None,
        at_ms: int = GENESIS_MS + 1_000,
        resolved: Mapping[bytes, Located] | None = None,
        **fields: Any,
    ) -> bytes:
        """A signed entry of any type. `by` is a signer, or a field of `Keys`; `fields` go into the
        record.
        """
        org = org or self.org
        self._count += 1
        record: Record[Any] = Record(
            at=fields.pop("at", encode_time(at_ms)),
            body=body,
            chain=fields.pop("chain", self.genesis.tip.chain),
            id=fields.pop("id", None) or uuid7(at_ms, self._count),
            type=kind,
            v=1,
            **fields,
        )
        sub = subjects_of(org, record, resolved or {})[0]
        signer = getattr(self.keys[org], by) if isinstance(by, str) else by
        return sign_record(signer, org, sub, record)

    def access(
        self,
        *,
        seq: int,
        dataset: str = "GTEx",
        person: str | None = "ext:idash:1",
        activity: str = "VIEW_RESOURCE",
        system: str = "gateway",
        request: Source | str | None = None,
        **fields: Any,
    ) -> bytes:
        """A signed `access` of one event."""
        body = AccessBody(
            action="read",
            activity=activity,
            channel="query",
            dataset=dataset,
            outcome="ok",
            person=person,
            request=request,
            source=Source(seq=seq, system=system),
        )
        return self.record("access", body, by="system", **fields)

    def accesses(
        self, count: int, *, first_seq: int = 1, at_ms: int = GENESIS_MS + 1_000
    ) -> list[bytes]:
        """`count` signed accesses with consecutive numbers, over 8 datasets and 50 persons."""
        return [
            self.access(
                seq=seq, dataset=f"D{seq % 8}", person=f"ext:idash:{seq % 50}", at_ms=at_ms + seq
            )
            for seq in range(first_seq, first_seq + count)
        ]

    def batch(
        self,
        count: int = 150,
        *,
        first_seq: int = 1,
        at_ms: int = GENESIS_MS + 1_000,
        system: str = "gateway",
    ) -> bytes:
        """One signed `access-batch` of `count` events with consecutive numbers."""
        events = tuple(
            AccessEvent(
                action="read",
                activity="VIEW_RESOURCE",
                at=encode_time(at_ms + seq),
                channel="query",
                dataset=f"D{seq % 8}",
                outcome="ok",
                person=f"ext:idash:{seq % 50}",
                source=Source(seq=seq, system=system),
            )
            for seq in range(first_seq, first_seq + count)
        )
        return self.record("access-batch", AccessBatchBody(events=events), by="system", at_ms=at_ms)

    def extend(
        self,
        parent: Tip,
        raws: Sequence[bytes],
        history: History,
        time_ms: int = GENESIS_MS + 60_000,
    ) -> Applied:
        """The next block of these entries, sealed by its leader. All must be admitted."""
        view = parent.view + 1
        member = parent.config.members[parent.config.leader(view)]
        built = build_block(
            parent,
            [decode_entry(raw) for raw in raws],
            view=view,
            proposer=member.org,
            time_ms=time_ms,
            history=history,
            verify=verify,
        )
        for refusal in built.refusals:
            raise refusal.error
        return finish_block(parent, built, sign_seal(self.keys[member.org].node, built.seal))


class Blocks:
    """A `History` in memory: feed it every block, in order."""

    def __init__(self, *blocks: Applied) -> None:
        self.ids: dict[bytes, bytes] = {}
        self.leaves: dict[bytes, Located] = {}
        for block in blocks:
            self.add(block)

    def add(self, block: Applied) -> None:
        """Take in one block."""
        start = block.tip.seal_index - len(block.entries)
        for offset, entry in enumerate(block.entries):
            statement = entry.statement
            self.ids[entry.id_key] = entry.leaf
            self.leaves[entry.leaf] = Located(
                start + offset, entry.record.type, statement.iss, statement.sub
            )

    def find_ids(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `ledger.chain.History`."""
        return {key: self.ids[key] for key in keys if key in self.ids}

    def find_leaves(self, leaves: Sequence[bytes]) -> Mapping[bytes, Located]:
        """See `ledger.chain.History`."""
        return {leaf: self.leaves[leaf] for leaf in leaves if leaf in self.leaves}

    def known_leaves(self, leaves: Sequence[bytes]) -> set[bytes]:
        """See `ledger.chain.History`."""
        return self.leaves.keys() & set(leaves)


def sign_record(signer: Signer, org: str, sub: str, record: Record[Any]) -> bytes:
    """The entry of a record: COSE_Sign1 over its canonical JSON."""
    return sign_payload(signer, org, sub, ENCODE(record))


def sign_payload(signer: Signer, org: str, sub: str, payload: bytes) -> bytes:
    """The entry of any payload, well-formed or not."""
    protected = encode_protected(signer.alg, signer.kid, org, sub)
    return encode_statement(protected, payload, signer.sign(signature_input(protected, payload)))


def sign_seal(signer: Signer, seal: Seal) -> SealEntry:
    """A seal, signed with a node key."""
    protected, payload = encode_seal(seal, signer.alg, signer.kid)
    return decode_seal(
        encode_statement(protected, payload, signer.sign(signature_input(protected, payload)))
    )


def make_keys(org: str) -> Keys:
    """The signers of an organisation, from seeds."""
    return Keys(*(signer_from_seed(seed(role, org)) for role in ROLES))


def describe_key(
    signer: Signer, *, chain: str | None, valid_until: str | None = None, **fields: Any
) -> KeyDescription:
    """A key's description, with the key's own proof for this chain (None: block 0)."""
    key = KeyDescription(
        alg="EdDSA" if signer.alg == EDDSA else "ES256",
        proof=b64url(bytes(64)),
        public_key=b64url(signer.public_key),
        valid_until=valid_until,
        **fields,
    )
    return prove(key, signer, chain)


def prove(key: KeyDescription, signer: Signer, chain: str | None) -> KeyDescription:
    """The description as it stands, signed by this key."""
    proof = signer.sign(claim_bytes(claim_of(key, chain)))
    return msgspec.structs.replace(key, proof=b64url(proof))


def make_world(
    orgs: Sequence[str] = ("h1",),
    *,
    at_ms: int = GENESIS_MS,
    origin: str = ORIGIN,
    limits: Limits = LIMITS,
    backfill_days: int = 36_500,
) -> World:
    """Found a chain of these organisations; the first convenes. Committee quorum: two thirds."""
    keys = {org: make_keys(org) for org in orgs}
    at = encode_time(at_ms)
    genesis = _genesis_body(keys, at, origin, limits, backfill_days)
    convener = orgs[0]
    first = Record(at=at, body=genesis, id=uuid7(at_ms, 0), type="genesis", v=1)
    raws = [sign_record(keys[convener].officer, convener, "alliance", first)]
    chain_id = sha256(b"alliance/chain/1\n" + ENCODE(first)).digest()
    for number, org in enumerate(orgs, 1):
        acceptance = Record(
            at=at,
            body=FounderAcceptanceBody(chain_id=b64url(chain_id)),
            chain=b64url(chain_id[:16]),
            id=uuid7(at_ms, number),
            type="founder-acceptance",
            v=1,
        )
        raws.append(sign_record(keys[org].officer, org, "alliance", acceptance))
    seal = sign_seal(keys[convener].node, first_seal(found(raws, verify), convener))
    return World(encode_bundle([*raws, seal.raw]), keys)


def _genesis_body(
    keys: Mapping[str, Keys], at: str, origin: str, limits: Limits, backfill_days: int
) -> GenesisBody:
    members = [
        Member(
            cosigner_pk=b64url(own.cosigner.public_key),
            leader_eligible=True,
            log_pk=b64url(own.log.public_key),
            node_pk=b64url(own.node.public_key),
            org=org,
        )
        for org, own in keys.items()
    ]
    members.sort(key=lambda member: keys[member.org].node.public_key)
    n = len(members)
    return GenesisBody(
        alliance=AllianceName(en="Critical care alliance", zh="重症联盟"),
        config=EpochConfig(
            epoch=0,
            limits=limits,
            members=tuple(members),
            q=default_quorum(n),
            rules_version=1,
            v=1,
        ),
        founders=tuple(Founder(kind="hospital", org=org) for org in keys),
        keys=tuple(
            describe_key(
                getattr(own, role),
                org=org,
                capacity=CAPACITIES[role],
                subject="gateway" if role == "system" else f"{org}-{role}",
                chain=None,
                valid_from=at,
            )
            for org, own in keys.items()
            for role in CAPACITIES
        ),
        origin=origin,
        policy=PolicyBody(
            backfill_days=backfill_days,
            decision_days=30,
            effective_from=at,
            min_reviewers=2,
            name="first",
            quorum={"default": (2, 3)},
            version=1,
        ),
        suite="sha256-ed25519/1",
    )


__all__ = [
    "EDDSA",
    "Blocks",
    "Keys",
    "World",
    "make_world",
    "seed",
    "sign_payload",
    "sign_record",
    "sign_seal",
]
