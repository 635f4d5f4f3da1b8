"""Founding a chain: of one member in one go, or of several who each keep their own keys (SPEC 1.5).

    part        what a founder publishes of its home directory: its node and its officers' keys
    draft       the genesis record made of all parts, signed by the convener's officer
    acceptance  a founder's signed word that this very genesis is theirs
    block 0     the draft and all acceptances, sealed by the convener's node

`alliance init` is all four by one founder.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from cli.home import (
    AnySigner,
    PublicPart,
    make_key_dir,
    public_part,
    read_file,
    save_signer,
    write_new,
)
from cli.statements import Author, clock_ms, describe_key, make_body, new_id, sign
from ledger.chain import Applied, Founding, check_draft, check_genesis, first_seal, found
from ledger.crypto import Signer, signer_from_seed, verify
from ledger.encoding import (
    UNREADABLE,
    b64url,
    encode_bundle,
    encode_statement,
    encode_time,
    signature_input,
    unb64url,
)
from ledger.errors import ConflictError, MalformedError
from ledger.members import MAX_MEMBERS, EpochConfig, Label, Limits, Member, default_quorum
from ledger.notes import check_name
from ledger.records.envelope import Record, Shape
from ledger.records.governance import (
    AllianceName,
    Continues,
    Founder,
    FounderAcceptanceBody,
    GenesisBody,
    KeyDescription,
    Kind,
    PolicyBody,
)
from ledger.records.seal import encode_seal
from ledger.rules import RULES_VERSION
from node.config import OWN_TLS, Config, copy_place, make_private_folder, names_at
from node.tls import new_certificate
from node.vault import open_vault
from node.vaultkeys import make_keys

NODE_KEYS: Final = ("node", "log", "cosigner")
OFFICE_KEYS: Final = {"officer": "so", "committee": "dac", "system": "system"}
KEY_NAMES: Final = (*NODE_KEYS, *OFFICE_KEYS)
SYSTEM_SUBJECT: Final = "gateway"
LIMITS: Final = Limits(block_bytes=8 << 20, block_records=4_096, min_interval_ms=0)
QUORUM: Final = (2, 3)
"""Of the ADMITTED organisations, rounded up; a policy record changes it."""


class Plan(NamedTuple):
    """What the founders agreed on, beside who they are."""

    name_en: str
    name_zh: str
    origin: str
    backfill_days: int
    decision_days: int
    quorum: int | None = None
    """q of epoch 0; None stands for the default of so many members."""
    continues: Continues | None = None
    """The chain that this one continues."""
    attribution: object = None
    """The parameters of credit, as their file holds them; None stands for those of SPEC 12.3."""


def parameters_in(path: Path) -> object:
    """The parameters of credit in a file. Raises `ConfigError` (X1.file) or `MalformedError`
    (X2.json).
    """
    try:
        return msgspec.json.decode(read_file(path))
    except UNREADABLE:
        raise MalformedError("X2.json", file=path.name) from None


# --- 1: the parts ---


class Part(Shape, frozen=True, kw_only=True):
    """What a founder publishes of its home directory; nothing in it is secret.

    It is not signed: whoever changes it on its way gets a draft that its founder does not accept.
    """

    keys: tuple[KeyDescription, ...]
    kind: Kind
    member: Member
    org: Label


def make_part(
    org: str,
    kind: str,
    signers: Mapping[str, AnySigner],
    at_ms: int,
    *,
    chain: str | None = None,
    offices: Mapping[str, str] = OFFICE_KEYS,
) -> Part:
    """The part of a home directory with these keys (`KEY_NAMES`), for block 0 or for the running
    chain of this short id. Raises `MalformedError` (X2).
    """
    descriptions = tuple(
        describe_key(
            signers[name],
            org=org,
            capacity=capacity,
            subject=_subject(org, name),
            chain=chain,
            valid_from_ms=at_ms,
        )
        for name, capacity in offices.items()
    )
    member = _member(org, public_parts(signers))
    return make_body(Part, {"keys": descriptions, "kind": kind, "member": member, "org": org})


def _subject(org: str, name: str) -> str:
    return SYSTEM_SUBJECT if name == "system" else f"{org}-{name}"


def _member(org: str, keys: Mapping[str, PublicPart]) -> Member:
    return Member(
        cosigner_pk=keys["cosigner"].public_key,
        leader_eligible=True,
        log_pk=keys["log"].public_key,
        node_pk=keys["node"].public_key,
        org=org,
    )


def is_part_of(part: Part, keys: Mapping[str, PublicPart], valid_from: str) -> bool:
    """Whether a part says of a home directory with these keys exactly what `make_part` does. Its
    proofs are checked where the part is read.
    """
    org = part.org
    own = [
        (keys[name].alg, capacity, org, keys[name].public_key, _subject(org, name))
        for name, capacity in OFFICE_KEYS.items()
    ]
    named = [(k.alg, k.capacity, k.org, k.public_key, k.subject) for k in part.keys]
    windows = {(key.valid_from, key.valid_until) for key in part.keys}
    return named == own and windows == {(valid_from, None)} and part.member == _member(org, keys)


def dated(part: Part, at_ms: int) -> Part:
    """The part as a genesis of this time takes it over: its keys are valid from the genesis on."""
    at = encode_time(at_ms)
    keys = tuple(msgspec.structs.replace(key, valid_from=at) for key in part.keys)
    return msgspec.structs.replace(part, keys=keys)


# --- 2 to 4: the draft, its acceptances, block 0 ---


def make_draft(plan: Plan, parts: Sequence[Part], convener: Author, at_ms: int) -> Founding:
    """The genesis of these founders, signed by the convener's officer and checked.

    Raises `MalformedError` (N2, R30 to R34, X2), or `ProofError` (L12, L14).
    """
    if not 1 <= len(parts) <= MAX_MEMBERS:
        raise MalformedError("R30", members=len(parts), limit=MAX_MEMBERS)
    founders = [dated(part, at_ms) for part in sorted(parts, key=lambda part: part.org)]
    genesis = Record(
        at=encode_time(at_ms),
        body=_body(plan, founders, at_ms),
        id=new_id(at_ms),
        type="genesis",
        v=1,
    )
    return check_draft(sign(convener, genesis).raw, verify)


def _body(plan: Plan, founders: Sequence[Part], at_ms: int) -> GenesisBody:
    members = sorted(
        (part.member for part in founders), key=lambda member: unb64url(member.node_pk, 32)
    )
    return GenesisBody(
        continues=plan.continues,
        alliance=make_body(AllianceName, {"en": plan.name_en, "zh": plan.name_zh}),
        config=EpochConfig(
            epoch=0,
            limits=LIMITS,
            members=tuple(members),
            q=default_quorum(len(members)) if plan.quorum is None else plan.quorum,
            rules_version=RULES_VERSION,
            v=1,
        ),
        founders=tuple(Founder(kind=part.kind, org=part.org) for part in founders),
        keys=tuple(key for part in founders for key in part.keys),
        origin=plan.origin,
        policy=make_body(
            PolicyBody,
            {
                **({} if plan.attribution is None else {"attribution": plan.attribution}),
                "backfill_days": plan.backfill_days,
                "decision_days": plan.decision_days,
                "effective_from": encode_time(at_ms),
                "min_reviewers": 2,
                "name": "first",
                "quorum": {"default": QUORUM},
                "version": 1,
            },
        ),
        suite="sha256-ed25519/1",
    )


def make_acceptance(draft: Founding, org: str, officer: Signer, at_ms: int) -> bytes:
    """A founder's word that this genesis is theirs, as an entry."""
    acceptance = Record(
        at=encode_time(at_ms),
        body=FounderAcceptanceBody(chain_id=b64url(draft.chain_id)),
        chain=draft.chain,
        id=new_id(at_ms),
        type="founder-acceptance",
        v=1,
    )
    return sign(Author(officer, org, draft.chain), acceptance).raw


def seal_genesis(
    draft: Founding, acceptances: Mapping[str, bytes], node: Signer
) -> tuple[bytes, Applied]:
    """Block 0 as a genesis file, from the acceptance of each founder, and what it comes to.

    Raises `ProofError` (L9 to L16).
    """
    body: GenesisBody = draft.entries[0].record.body
    accepted = [acceptances[founder.org] for founder in body.founders]
    records = [draft.entries[0].raw, *accepted]
    seal = first_seal(found(records, verify), draft.entries[0].statement.iss)
    protected, payload = encode_seal(seal, node.alg, node.kid)
    entry = encode_statement(protected, payload, node.sign(signature_input(protected, payload)))
    bundle = encode_bundle([*records, entry])
    return bundle, check_genesis(bundle, verify)


# --- the home directory ---


def check_vacant(home: Path) -> None:
    """Founding never overwrites. Raises `ConflictError` (X1.exists)."""
    for name in (
        "genesis",
        "node.toml",
        "ledger.db",
        "keys/passphrase",
        "keys/vault",
        "keys/tls",
        "vault.db",
    ):
        if (home / name).exists():
            raise ConflictError("X1.exists", file=name)
    for name in KEY_NAMES:
        if (home / "keys" / f"{name}.pem").exists():
            raise ConflictError("X1.exists", file=f"keys/{name}.pem")


def new_signers() -> dict[str, AnySigner]:
    """A new key for each of `KEY_NAMES`."""
    return {name: signer_from_seed(secrets.token_bytes(32)) for name in KEY_NAMES}


def public_parts(signers: Mapping[str, AnySigner]) -> dict[str, PublicPart]:
    """What everybody may know of these keys."""
    return {name: public_part(signer) for name, signer in signers.items()}


@contextmanager
def all_or_nothing(*places: tuple[Path, str]) -> Iterator[None]:
    """Whoever fails inside, on a full disk or for want of rights, leaves no file of these folders
    and patterns that was not there before: half a home would stand in the way of the next try.
    """
    before = _files_in(places)
    try:
        yield
    except BaseException:
        for path in _files_in(places) - before:
            path.unlink(missing_ok=True)
        raise


def _files_in(places: Iterable[tuple[Path, str]]) -> set[Path]:
    return {path for folder, name in places for path in folder.glob(name) if path.is_file()}


def save_home(
    home: Path,
    signers: Mapping[str, AnySigner],
    passphrase: bytes | None,
    host: str,
    port: int,
    vault_backup: Path | None = None,
) -> bool:
    """Keys, settings and vault of a home directory, and the first copy of that; says whether it
    made a passphrase.

    Raises `ConflictError` (X1.exists) or `ConfigError` (O1.copy, X1.file).
    """
    place = vault_backup_of(home, vault_backup)
    folders = ((home / "keys", "*"), (home, "node.toml*"), (home, "vault*"), (home / place, "*"))
    with all_or_nothing(*folders):
        return _save_home(home, signers, passphrase, host, port, place)


def _save_home(
    home: Path,
    signers: Mapping[str, AnySigner],
    passphrase: bytes | None,
    host: str,
    port: int,
    place: str,
) -> bool:
    folder = make_key_dir(home)
    made = passphrase is None
    if passphrase is None:
        passphrase = secrets.token_urlsafe(24).encode()
        write_new(folder / "passphrase", passphrase + b"\n", 0o600)
    for name, signer in signers.items():
        save_signer(home, name, signer, passphrase)
    make_keys(home, secrets.token_bytes(32))
    names = names_at(host, port)
    new_certificate(folder / OWN_TLS, hosts_of(host), passphrase, clock_ms() // 1000)
    settings: dict[str, object] = {
        "host": host, "port": port, "vault_backup": place
    }  # fmt: skip
    settings |= {"names": names} if names else {}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    write_new(home / "node.toml", "".join(lines).encode())
    start_copy(home, place)
    return made


def hosts_of(*addresses: str) -> list[str]:
    """What a certificate says that it is for: these addresses, and loopback."""
    return list(dict.fromkeys(address for address in (*addresses, "localhost", "127.0.0.1")))


def vault_backup_of(home: Path, folder: Path | None = None) -> str:
    """Where a new home's vault is copied to: where its operator says, else beside the home.

    Raises `ConfigError` (O1.copy) for a place inside the home, `ConfigError` (X1.file) for one that
    cannot be written.
    """
    place = f"../{home.resolve().name}-vault" if folder is None else str(folder.resolve())
    make_private_folder(copy_place(home, place))
    return place


def start_copy(home: Path, place: str) -> None:
    """The vault, and its first copy: from the first day there is one. Raises as `Vault.back_up`."""
    vault = open_vault(Config(home=home))
    try:
        vault.back_up(home / place)
    finally:
        vault.close()


def found_alone(
    home: Path,
    org: str,
    kind: str,
    plan: Plan,
    passphrase: bytes | None,
    host: str,
    port: int,
    vault_backup: Path | None = None,
) -> tuple[Applied, bool]:
    """A whole chain of one member in a new home directory; says whether it made a passphrase.

    Raises `ConflictError` (X1.exists), `ConfigError` (O1.host, X1.file) or `MalformedError` (X2,
    N2).
    """
    check_vacant(home)
    names_at(host, port)
    check_name(plan.origin)
    signers, now = new_signers(), clock_ms()
    part = make_part(org, kind, signers, now)
    officer = signers["officer"]
    draft = make_draft(plan, [part], Author(officer, org, ""), now)
    accepted = {org: make_acceptance(draft, org, officer, now)}
    bundle, block = seal_genesis(draft, accepted, signers["node"])
    made = save_home(home, signers, passphrase, host, port, vault_backup)
    # The genesis comes last: a home that has one is complete.
    write_new(home / "genesis", bundle)
    return block, made
