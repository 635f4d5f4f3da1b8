"""The files that founders hand each other, as whoever gets one reads it (SPEC 1.5). Nothing in them
is believed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cli.founding import KEY_NAMES, Part, dated, is_part_of
from cli.home import PublicPart, load_public, read_file
from ledger.chain import Applied, Founding, check_acceptance, check_draft, check_genesis
from ledger.crypto import EDDSA, check_public_key, verify
from ledger.encoding import b64url, decode_bundle, encode_time, unb64url
from ledger.errors import (
    AllianceError,
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    ProofError,
    SignatureError,
)
from ledger.records import decode_entry
from ledger.records.envelope import Record, decode_canonical
from ledger.records.governance import GenesisBody
from ledger.rules.governance import check_possession, kid_of

PARTS: Final = msgspec.json.Decoder(Part)
FORM_ERRORS: Final = (MalformedError, SignatureError, ProofError)
FORM_RULES: Final = ("L9", "L10")
"""A block-0 entry of no known form, or of another type: not the file that it was taken for."""


def form_rule(error: AllianceError) -> str:
    """The rule that bytes of another form than their file must have break; what a well-formed file
    says wrongly is raised again as it is.
    """
    if isinstance(error, ProofError) and error.rule not in FORM_RULES:
        raise error
    return str(error.facts.get("inner", error.rule))


# --- parts ---


def read_part(file: Path, chain: str | None = None) -> Part:
    """A founder's part, or a joiner's for the running chain of this short id.

    Raises `ConfigError` (X1.file), `MalformedError` (X7.part, X7.keys).
    """
    data = read_file(file)
    try:
        part = decode_canonical(data, PARTS)
        for key in _node_keys(part):
            check_public_key(EDDSA, unb64url(key, 32))
        for description in part.keys:
            kid_of(description)
    except FORM_ERRORS as error:
        raise MalformedError("X7.part", file=file.name, inner=form_rule(error)) from error
    orgs = {part.org, part.member.org, *(key.org for key in part.keys)}
    lasting = all(key.valid_until is None for key in part.keys)
    officer = any(key.capacity == "so" for key in part.keys)
    if len(orgs) != 1 or not lasting or not officer or len(set(_keys(part))) != len(_keys(part)):
        raise MalformedError("X7.keys", file=file.name)
    try:
        for description in part.keys:
            check_possession(description, chain, verify)
    except SignatureError as error:
        raise MalformedError("X7.part", file=file.name, inner=error.rule) from error
    return part


def read_parts(files: Sequence[Path]) -> list[Part]:
    """The parts of different founders, with no key in two of them.

    Raises as `read_part`, and `ConflictError` (X7.twice).
    """
    parts: dict[str, Part] = {}
    keys: set[str] = set()
    for file in files:
        part = read_part(file)
        if part.org in parts:
            raise ConflictError("X7.twice", file=file.name, org=part.org)
        if not keys.isdisjoint(_keys(part)):
            raise MalformedError("X7.keys", file=file.name)
        parts[part.org] = part
        keys.update(_keys(part))
    return list(parts.values())


def _node_keys(part: Part) -> list[str]:
    return [part.member.node_pk, part.member.log_pk, part.member.cosigner_pk]


def _keys(part: Part) -> list[str]:
    return [*_node_keys(part), *(key.public_key for key in part.keys)]


# --- what a home directory knows of itself ---


def own_keys(home: Path, passphrase_file: Path | None) -> dict[str, PublicPart]:
    """The public parts of a home's keys. Raises `NotFoundError` (X1.key), as `load_public`."""
    return {name: load_public(home, name, passphrase_file) for name in KEY_NAMES}


def own_part(files: Sequence[Path], parts: Sequence[Part], keys: Mapping[str, PublicPart]) -> Part:
    """Which of the parts is this home's. Raises `ConfigError` (X7.absent, X7.own)."""
    for file, part in zip(files, parts, strict=True):
        if part.member.node_pk == keys["node"].public_key:
            if not is_part_of(dated(part, 0), keys, encode_time(0)):
                raise ConfigError("X7.own", file=file.name, org=part.org)
            return part
    raise ConfigError("X7.absent")


def check_own(file: Path, genesis: Record[GenesisBody], keys: Mapping[str, PublicPart]) -> str:
    """The organisation that a genesis gives this home's node key to.

    Everything that the genesis says of it must be what this home holds: a further officer's key
    could sign in its name. Raises `ConfigError` (X7.stranger, X7.own).
    """
    body = genesis.body
    named = (m for m in body.config.members if m.node_pk == keys["node"].public_key)
    member = next(named, None)
    if member is None:
        raise ConfigError("X7.stranger", file=file.name)
    listed = Part(
        keys=tuple(key for key in body.keys if key.org == member.org),
        kind=next(founder.kind for founder in body.founders if founder.org == member.org),
        member=member,
        org=member.org,
    )
    if not is_part_of(listed, keys, genesis.at):
        raise ConfigError("X7.own", file=file.name, org=member.org)
    return member.org


# --- drafts, acceptances, block 0 ---


def read_draft(file: Path) -> Founding:
    """A draft, checked. Raises `ConfigError` (X1.file), `MalformedError` (X7.draft), `ProofError`
    (L12, L14, L15), or `RefusedError` (G*).
    """
    data = read_file(file)
    try:
        return check_draft(_only_entry(data), verify)
    except FORM_ERRORS as error:
        raise MalformedError("X7.draft", file=file.name, inner=form_rule(error)) from error


def read_acceptances(draft: Founding, files: Sequence[Path]) -> dict[str, bytes]:
    """The acceptance of each founder by its organisation.

    Raises `ConfigError` (X1.file), `MalformedError` (X7.acceptance), `ConflictError` (X7.twice),
    `ProofError` (X7.other, L12), or `NotFoundError` (X7.missing).
    """
    body: GenesisBody = draft.entries[0].record.body
    accepted: dict[str, bytes] = {}
    for file in files:
        org, raw = _read_acceptance(draft, file)
        if org in accepted:
            raise ConflictError("X7.twice", file=file.name, org=org)
        accepted[org] = raw
    missing = [founder.org for founder in body.founders if founder.org not in accepted]
    if missing:
        raise NotFoundError("X7.missing", orgs=", ".join(missing))
    return accepted


def _read_acceptance(draft: Founding, file: Path) -> tuple[str, bytes]:
    data = read_file(file)
    try:
        entry = decode_entry(_only_entry(data))
        if entry.record.type != "founder-acceptance":
            raise ProofError("L10")
    except FORM_ERRORS as error:
        raise MalformedError("X7.acceptance", file=file.name, inner=form_rule(error)) from error
    org = entry.statement.iss
    if entry.record.body.chain_id != b64url(draft.chain_id):
        raise ProofError("X7.other", file=file.name, org=org)
    check_acceptance(draft, entry, verify)
    return org, entry.raw


def read_genesis(file: Path) -> tuple[bytes, Applied]:
    """A genesis file and block 0. Raises `ConfigError` (X1.file), `MalformedError` (X7.genesis),
    `ProofError` (L11 to L16), or `RefusedError` (G*).
    """
    bundle = read_file(file)
    try:
        return bundle, check_genesis(bundle, verify)
    except FORM_ERRORS as error:
        raise MalformedError("X7.genesis", file=file.name, inner=form_rule(error)) from error


def _only_entry(bundle: bytes) -> bytes:
    """The entry of a bundle that holds one. Raises `MalformedError` (B8), `ProofError` (L10)."""
    entries = decode_bundle(bundle)
    if len(entries) != 1:
        raise ProofError("L10")
    return entries[0]
