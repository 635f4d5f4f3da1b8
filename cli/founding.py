"""Founding a chain of one member: its keys, its block 0, its settings (definitions.md 2)."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from cli.home import AnySigner, make_key_dir, save_signer, write_new
from cli.statements import Author, clock_ms, make_body, new_id, sign
from ledger.chain import Applied, chain_id_of, check_genesis, first_seal, found
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import (
    b64url,
    encode_bundle,
    encode_statement,
    encode_time,
    signature_input,
)
from ledger.errors import ConflictError
from ledger.members import EpochConfig, Limits, Member, default_quorum
from ledger.notes import check_name
from ledger.records.envelope import ENCODE, Record
from ledger.records.governance import (
    AllianceName,
    Founder,
    FounderAcceptanceBody,
    GenesisBody,
    KeyDescription,
    PolicyBody,
)
from ledger.records.seal import encode_seal
from ledger.rules import RULES_VERSION
from node.config import check_host

NODE_KEYS: Final = ("node", "log", "cosigner")
OFFICE_KEYS: Final = {"officer": "so", "committee": "dac", "system": "system"}
SYSTEM_SUBJECT: Final = "gateway"
LIMITS: Final = Limits(block_bytes=8 << 20, block_records=4_096, min_interval_ms=0)
QUORUM: Final = (2, 3)
"""Of the ADMITTED organisations, rounded up; a policy record changes it."""


class Plan(NamedTuple):
    """What the founders agreed on."""

    org: str
    kind: str
    name_en: str
    name_zh: str
    origin: str
    backfill_days: int
    decision_days: int


def check_vacant(home: Path) -> None:
    """Founding never overwrites. Raises `ConflictError` (X1.exists)."""
    for name in ("genesis", "node.toml", "ledger.db", "keys/passphrase"):
        if (home / name).exists():
            raise ConflictError("X1.exists", file=name)
    for name in (*NODE_KEYS, *OFFICE_KEYS):
        if (home / "keys" / f"{name}.pem").exists():
            raise ConflictError("X1.exists", file=f"keys/{name}.pem")


def make_home(
    home: Path, plan: Plan, passphrase: bytes | None, host: str, port: int
) -> tuple[Applied, bool]:
    """Keys, genesis and settings of a new chain; says whether it made a passphrase.

    Raises `ConflictError` (X1.exists), `ConfigError` (O1.host, X1.file) or `MalformedError` (X2,
    N2).
    """
    check_vacant(home)
    check_host(host)
    check_name(plan.origin)
    signers = {
        name: signer_from_seed(secrets.token_bytes(32)) for name in (*NODE_KEYS, *OFFICE_KEYS)
    }
    bundle = make_genesis(plan, signers, clock_ms())
    block = check_genesis(bundle, verify)
    folder = make_key_dir(home)
    made = passphrase is None
    if passphrase is None:
        passphrase = secrets.token_urlsafe(24).encode()
        write_new(folder / "passphrase", passphrase + b"\n", 0o600)
    for name, signer in signers.items():
        save_signer(home, name, signer, passphrase)
    write_new(home / "node.toml", f'host = "{host}"\nport = {port}\n'.encode())
    # The genesis comes last: a home that has one is complete.
    write_new(home / "genesis", bundle)
    return block, made


def make_genesis(plan: Plan, signers: Mapping[str, AnySigner], at_ms: int) -> bytes:
    """The genesis file: block 0 as an entry bundle. Raises `MalformedError` (X2)."""
    genesis = Record(
        at=encode_time(at_ms),
        body=_body(plan, signers, at_ms),
        id=new_id(at_ms),
        type="genesis",
        v=1,
    )
    chain_id = chain_id_of(ENCODE(genesis))
    chain = b64url(chain_id[:16])
    author = Author(signers["officer"], plan.org, chain)
    acceptance = Record(
        at=encode_time(at_ms),
        body=FounderAcceptanceBody(chain_id=b64url(chain_id)),
        chain=chain,
        id=new_id(at_ms),
        type="founder-acceptance",
        v=1,
    )
    records = [sign(author, genesis).raw, sign(author, acceptance).raw]
    node = signers["node"]
    protected, payload = encode_seal(
        first_seal(found(records, verify), plan.org), node.alg, node.kid
    )
    seal = encode_statement(protected, payload, node.sign(signature_input(protected, payload)))
    return encode_bundle([*records, seal])


def _body(plan: Plan, signers: Mapping[str, AnySigner], at_ms: int) -> GenesisBody:
    at = encode_time(at_ms)
    member = make_member(plan.org, signers)
    keys = tuple(
        make_body(
            KeyDescription,
            {
                "alg": "EdDSA",
                "capacity": capacity,
                "org": plan.org,
                "public_key": b64url(signers[name].public_key),
                "subject": SYSTEM_SUBJECT if name == "system" else f"{plan.org}-{name}",
                "valid_from": at,
            },
        )
        for name, capacity in OFFICE_KEYS.items()
    )
    return GenesisBody(
        alliance=make_body(AllianceName, {"en": plan.name_en, "zh": plan.name_zh}),
        config=EpochConfig(
            epoch=0,
            limits=LIMITS,
            members=(member,),
            q=default_quorum(1),
            rules_version=RULES_VERSION,
            v=1,
        ),
        founders=(make_body(Founder, {"kind": plan.kind, "org": plan.org}),),
        keys=keys,
        origin=plan.origin,
        policy=make_body(
            PolicyBody,
            {
                "backfill_days": plan.backfill_days,
                "decision_days": plan.decision_days,
                "effective_from": at,
                "min_reviewers": 2,
                "name": "first",
                "quorum": {"default": QUORUM},
                "version": 1,
            },
        ),
        suite="sha256-ed25519/1",
    )


def make_member(org: str, signers: Mapping[str, AnySigner]) -> Member:
    """The entry of an organisation's node in an EpochConfig."""
    return Member(
        cosigner_pk=b64url(signers["cosigner"].public_key),
        leader_eligible=True,
        log_pk=b64url(signers["log"].public_key),
        node_pk=b64url(signers["node"].public_key),
        org=org,
    )
