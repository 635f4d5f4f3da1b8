"""The cases: what goes into each format's decoder, good and damaged (see README.md)."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

import msgspec

from ledger.consensus import signed_bytes
from ledger.crypto import EDDSA, ES256, signer_from_p256_scalar, signer_from_seed, verify
from ledger.encoding import (
    b64,
    b64url,
    canonical_json,
    decode_bundle,
    decode_json,
    decode_statement,
    encode_bundle,
    encode_protected,
    encode_statement,
    signature_input,
    unb64url,
)
from ledger.errors import AllianceError
from ledger.members import EpochConfig, Limits, Member, check_config, decode_config, encode_config
from ledger.merkle import (
    Tree,
    leaf_hash,
    parse_tile_path,
    tile_path,
    verify_consistency,
    verify_inclusion,
)
from ledger.notes import (
    COSIGNATURE_ED25519,
    NOTE_ED25519,
    Checkpoint,
    Group,
    Note,
    NoteKey,
    Policy,
    TlogProof,
    cosign,
    decode_note,
    decode_policy,
    decode_proof,
    decode_vkey,
    encode_checkpoint,
    encode_note,
    encode_policy,
    encode_proof,
    sign_note,
    verify_note,
    verify_proof,
)
from ledger.records.envelope import ENCODE, decode_shape
from ledger.records.governance import KeyDescription, claim_bytes, claim_of
from ledger.rules.governance import check_possession
from ledger.state import EMPTY_STATE, State, state_key, verify_state

LOG = signer_from_seed(b"\x01" * 32)
WITNESS = signer_from_seed(b"\x02" * 32)
ORIGIN = "kat.example/ledger"
LOG_KEY = NoteKey(ORIGIN, NOTE_ED25519, LOG.public_key)
WITNESS_KEY = NoteKey("witness.example/w1", COSIGNATURE_ED25519, WITNESS.public_key)
POLICY = Policy((LOG_KEY,), {"w1": WITNESS_KEY}, {"g": Group("g", 1, ("w1",))}, "g")
TREE = Tree(leaf_hash(data) for data in (b"a", b"b", b"c", b"d", b"e"))


class Case(NamedTuple):
    """One input of one format, by the name of its mutation."""

    format: str
    name: str
    input: dict[str, str]


Decoder = Callable[[dict[str, str]], str]


def run(case: Case) -> dict[str, str]:
    """What the format's decoder makes of a case: its value or the rule that refuses it."""
    try:
        return {"value": DECODERS[case.format](case.input)}
    except AllianceError as error:
        return {"error": error.rule}


# --- decoders: input to a value that any language can compare ---


def _statement(given: dict[str, str]) -> str:
    statement = decode_statement(bytes.fromhex(given["bytes"]))
    parts = (statement.alg, statement.kid.hex(), statement.iss, statement.sub)
    return " ".join(map(str, (*parts, statement.payload.hex(), statement.signature.hex())))


def _signature(given: dict[str, str]) -> str:
    parts = (bytes.fromhex(given[name]) for name in ("public_key", "signature", "message"))
    return str(verify(int(given["alg"]), *parts)).lower()


def _inclusion(given: dict[str, str]) -> str:
    path = [bytes.fromhex(node) for node in given["path"].split()]
    leaf, root = bytes.fromhex(given["leaf"]), bytes.fromhex(given["root"])
    verify_inclusion(int(given["index"]), int(given["size"]), leaf, path, root)
    return "verified"


def _consistency(given: dict[str, str]) -> str:
    path = [bytes.fromhex(node) for node in given["path"].split()]
    roots = (bytes.fromhex(given["old_root"]), bytes.fromhex(given["new_root"]))
    verify_consistency(int(given["old"]), int(given["new"]), *roots, path)
    return "verified"


def _state(given: dict[str, str]) -> str:
    found = verify_state(*(bytes.fromhex(given[name]) for name in ("root", "key", "proof")))
    return "absent" if found is None else found.hex()


def _note(given: dict[str, str]) -> str:
    note = decode_note(bytes.fromhex(given["bytes"]))
    verified = verify_note(note, [decode_vkey(key) for key in given["vkeys"].split()])
    return " ".join(f"{item.key.name}@{item.time_s}" for item in verified)


def _proof(given: dict[str, str]) -> str:
    policy = decode_policy(bytes.fromhex(given["policy"]))
    proof = decode_proof(bytes.fromhex(given["bytes"]))
    verify_proof(proof, bytes.fromhex(given["leaf"]), policy)
    return f"{proof.index} of {proof.checkpoint.size}"


def _key_proof(given: dict[str, str]) -> str:
    key = decode_shape(bytes.fromhex(given["description"]), msgspec.json.Decoder(KeyDescription))
    chain = given["chain"] or None
    check_possession(key, chain, verify)
    return claim_bytes(claim_of(key, chain)).hex()


def _config(given: dict[str, str]) -> str:
    config = decode_config(bytes.fromhex(given["bytes"]))
    check_config(config)
    return f"{config.config_hash.hex()} {','.join(map(str, config.leaders))}"


def _vote(given: dict[str, str]) -> str:
    config = decode_config(bytes.fromhex(given["config"]))
    numbers = int(given["view"]), int(given["height"])
    message = signed_bytes(config, given["kind"], *numbers, bytes.fromhex(given["block"]))  # type: ignore[arg-type]
    key, signature = config.node_keys[int(given["signer"])], bytes.fromhex(given["signature"])
    return message.hex() if verify(EDDSA, key, signature, message) else "false"


DECODERS: dict[str, Decoder] = {
    "bundle": lambda given: " ".join(e.hex() for e in decode_bundle(bytes.fromhex(given["bytes"]))),
    "config": _config,
    "consistency": _consistency,
    "inclusion": _inclusion,
    "json": lambda given: canonical_json(decode_json(bytes.fromhex(given["bytes"]))).hex(),
    "key-proof": _key_proof,
    "note": _note,
    "policy": lambda given: encode_policy(decode_policy(bytes.fromhex(given["bytes"]))).hex(),
    "proof": _proof,
    "signature": _signature,
    "state": _state,
    "statement": _statement,
    "tile-path": lambda given: " ".join(map(str, parse_tile_path(given["path"]))),
    "vkey": lambda given: decode_vkey(given["vkey"]).vkey,
    "vote": _vote,
}


# --- good values ---


def good_statement(number: int = 0) -> bytes:
    """A signed statement; its payload is not a record, which this format does not ask."""
    payload = b'{"n":%d}' % number
    protected = encode_protected(EDDSA, LOG.kid, "org-a", f"dataset:{number}")
    return encode_statement(protected, payload, LOG.sign(signature_input(protected, payload)))


def good_state(count: int = 40) -> State:
    """A map of so many keys."""
    items = {state_key("key", str(n)): {"n": n} for n in range(count)}
    return EMPTY_STATE.update(items)


def good_note(size: int = 3) -> Note:
    """A checkpoint of the first leaves, signed and cosigned at 1700000000."""
    text = encode_checkpoint(Checkpoint(ORIGIN, size, TREE.root(size)))
    line = cosign(text, WITNESS_KEY.name, WITNESS, 1_700_000_000)
    return Note(text, (sign_note(text, ORIGIN, LOG), line))


def good_config() -> EpochConfig:
    """Four members, whose keys come from the seeds 32 x 16 + 3 * member + number of the key."""
    keys = [[signer_from_seed(bytes([16 + 3 * m + k]) * 32) for k in range(3)] for m in range(4)]
    members = [
        Member(
            cosigner_pk=b64url(cosigner.public_key),
            leader_eligible=True,
            log_pk=b64url(log.public_key),
            node_pk=b64url(node.public_key),
            org=f"h{number}",
        )
        for number, (node, log, cosigner) in enumerate(keys)
    ]
    return EpochConfig(
        chain_id=b64url(sha256(b"chain").digest()),
        epoch=3,
        limits=Limits(block_bytes=1_048_576, block_records=4096, min_interval_ms=0),
        members=tuple(sorted(members, key=lambda member: unb64url(member.node_pk))),
        q=3,
        rules_version=1,
        v=1,
    )


# --- cases ---


def cases() -> Iterator[Case]:
    """All of them, by format."""
    for group in (_bundles, _trees, _states, _json, _notes, _proofs, _signatures, _statements):
        yield from group()
    for group in (_key_proofs, _configs, _votes, _names):
        yield from group()


def _bytes(kind: str, **values: bytes) -> Iterator[Case]:
    for name, data in values.items():
        yield Case(kind, name.replace("_", "-"), {"bytes": data.hex()})


def _bundles() -> Iterator[Case]:
    good = encode_bundle([b"one", b"", b"three"])
    yield from _bytes(
        "bundle", good=good, empty=b"", truncated=good[:-1], half_a_length=good + b"\0"
    )


def _trees() -> Iterator[Case]:
    path = [node.hex() for node in TREE.inclusion(2, 5)]
    good = {
        "index": "2",
        "leaf": TREE.leaf(2).hex(),
        "path": " ".join(path),
        "root": TREE.root(5).hex(),
        "size": "5",
    }
    for name, change in {
        "good": {},
        "another-index": {"index": "3"},
        "another-leaf": {"leaf": TREE.leaf(3).hex()},
        "size-is-not-bound-by-the-path": {"size": "6"},
        "beyond-the-end": {"index": "5"},
        "path-too-long": {"path": " ".join([*path, path[0]])},
        "path-too-short": {"path": " ".join(path[:-1])},
        "short-hash": {"path": " ".join([path[0][2:], *path[1:]])},
    }.items():
        yield Case("inclusion", name, {**good, **change})
    nodes = [node.hex() for node in TREE.consistency(3, 5)]
    grown = {
        "new": "5",
        "new_root": TREE.root(5).hex(),
        "old": "3",
        "old_root": TREE.root(3).hex(),
        "path": " ".join(nodes),
    }
    for name, change in {
        "good": {},
        "empty-path": {"path": ""},
        "from-zero": {"old": "0", "old_root": TREE.root(0).hex(), "path": ""},
        "rewritten": {"old_root": TREE.root(4).hex()},
        "shrunk": {"old": "6"},
        "another-root": {"new_root": TREE.root(4).hex()},
        "swapped-nodes": {"path": " ".join(nodes[::-1])},
    }.items():
        yield Case("consistency", name, {**grown, **change})


def _states() -> Iterator[Case]:
    state = good_state()
    here, nowhere = state_key("key", "7"), state_key("key", "seven")
    proof, absence = state.prove(here), state.prove(nowhere)
    depth = int.from_bytes(proof[:2], "big")
    good = {"key": here.hex(), "proof": proof.hex(), "root": state.root.hex()}
    bucket = proof[2 + 32 * depth :]
    for name, change in {
        "good": {},
        "absent": {"key": nowhere.hex(), "proof": absence.hex()},
        "another-key": {"key": nowhere.hex()},
        "another-root": {"root": good_state(41).root.hex()},
        "hidden-item": {"proof": (proof[: 2 + 32 * depth] + bucket[64:]).hex()},
        "swapped-items": {"proof": (proof[: 2 + 32 * depth] + bucket[64:] + bucket[:64]).hex()},
        "too-deep": {"proof": (b"\x01\x01" + proof[2:]).hex()},
        "truncated": {"proof": proof[:-1].hex()},
        "empty": {"proof": ""},
    }.items():
        yield Case("state", name, {**good, **change})


def _json() -> Iterator[Case]:
    good = '{"a":[1,true,null],"b":"数据"}'.encode()
    yield from _bytes(
        "json",
        good=good,
        duplicate_key=b'{"a":1,"a":1}',
        float=b'{"a":1.5}',
        integer_too_large=b'{"a":9007199254740992}',
        key_not_ascii='{"é":1}'.encode(),
        not_normal='"e\u0301"'.encode(),
        space=good.replace(b",", b", ", 1),
        unsorted=b'{"b":1,"a":2}',
        unneeded_escape=b'"\\u0041"',
        lone_surrogate=b'"\\ud800"',
        trailing=good + b"\n",
    )


def _notes() -> Iterator[Case]:
    note = good_note()
    good = encode_note(note)
    keys = f"{LOG_KEY.vkey} {WITNESS_KEY.vkey}"
    other = signer_from_seed(b"\x03" * 32)
    stranger = NoteKey("someone.example/else", NOTE_ED25519, other.public_key).vkey
    for name, (data, vkeys) in {
        "good": (good, keys),
        "unknown-keys-only": (good, stranger),
        "unknown-key-ignored": (good, LOG_KEY.vkey),
        "known-key-fails": (encode_note(good_note(2)).replace(b"\n2\n", b"\n3\n"), keys),
        "no-final-newline": (good[:-1], keys),
        "no-signatures": (note.text + b"\n", keys),
        "control-character": (good.replace(b"\n3\n", b"\n3\r\n"), keys),
        "hyphen-for-dash": (good.replace("\u2014".encode(), b"-"), keys),
        "base64-without-padding": (good.replace(b"Zag=\n", b"Zag\n").replace(b"=\n", b"\n"), keys),
    }.items():
        yield Case("note", name, {"bytes": data.hex(), "vkeys": vkeys})
    for name, vkey in {
        "good": LOG_KEY.vkey,
        "wrong-key-id": LOG_KEY.vkey.replace("+158d1705+", "+158d1706+"),
        "upper-case-key-id": LOG_KEY.vkey.replace("+158d1705+", "+158D1705+"),
        "unknown-type": f"x+00000000+{b64(bytes([7]) + LOG.public_key)}",
        "small-order-key": f"x+00000000+{b64(bytes([1, 1]) + bytes(31))}",
        "no-name": LOG_KEY.vkey.removeprefix(ORIGIN),
    }.items():
        yield Case("vkey", name, {"vkey": vkey})
    policy = encode_policy(POLICY)
    yield from _bytes(
        "policy",
        good=policy,
        comments_and_tabs=b"# a comment\n\n" + policy.replace(b"log ", b"log\t"),
        no_quorum=policy.replace(b"quorum g\n", b""),
        two_quorums=policy + b"quorum g\n",
        unknown_member=policy.replace(b"g 1 w1", b"g 1 w2"),
        threshold_too_high=policy.replace(b"g 1 w1", b"g 2 w1"),
        threshold_zero=policy.replace(b"g 1 w1", b"g 0 w1"),
        unknown_line=policy + b"mirror m\n",
    )


def _proofs() -> Iterator[Case]:
    path = tuple(TREE.inclusion(1, 3))
    good = TlogProof(1, path, good_note())
    data = encode_proof(good)
    base = {
        "bytes": data.hex(),
        "leaf": TREE.leaf(1).hex(),
        "policy": encode_policy(POLICY).hex(),
    }
    uncosigned = TlogProof(1, path, Note(good.note.text, good.note.signatures[:1]))
    for name, change in {
        "good": {},
        "extra-line": {"bytes": encode_proof(TlogProof(1, path, good.note, b"more")).hex()},
        "another-index": {"bytes": data.replace(b"index 1", b"index 0").hex()},
        "leading-zero": {"bytes": data.replace(b"index 1", b"index 01").hex()},
        "another-leaf": {"leaf": TREE.leaf(0).hex()},
        "another-magic": {"bytes": data.replace(b"@v1", b"@v2").hex()},
        "no-quorum": {"bytes": encode_proof(uncosigned).hex()},
        "another-size": {"bytes": data.replace(b"\n3\n", b"\n4\n").hex()},
    }.items():
        yield Case("proof", name, {**base, **change})


_L = 2**252 + 27742317777372353535851937790883648493
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _signatures() -> Iterator[Case]:
    message = b"one acceptance rule"
    sig = LOG.sign(message)
    s = int.from_bytes(sig[32:], "little")
    good = {
        "alg": str(EDDSA),
        "message": message.hex(),
        "public_key": LOG.public_key.hex(),
        "signature": sig.hex(),
    }
    identity = bytes([1]) + bytes(31)
    for name, change in {
        "good": {},
        "another-message": {"message": b"another".hex()},
        "s-plus-l": {"signature": (sig[:32] + (s + _L).to_bytes(32, "little")).hex()},
        "small-order-r": {"signature": (identity + sig[32:]).hex()},
        "small-order-a": {"public_key": identity.hex(), "signature": (identity + bytes(32)).hex()},
        "not-canonical-a": {"public_key": ((2**255 - 19 + 3).to_bytes(32, "little")).hex()},
        "short": {"signature": sig[:-1].hex()},
    }.items():
        yield Case("signature", f"ed25519-{name}", {**good, **change})
    signer = signer_from_p256_scalar(7)
    # ES256 signatures are not deterministic here: these two are made once and kept.
    r, low = P256_SIGNATURE
    pair = {"alg": str(ES256), "message": message.hex(), "public_key": signer.public_key.hex()}
    for name, value in (("low-s", low), ("high-s", _N - low)):
        raw = r.to_bytes(32, "big") + value.to_bytes(32, "big")
        yield Case("signature", f"es256-{name}", {**pair, "signature": raw.hex()})


P256_SIGNATURE = (
    0xC5020CC9FCFC440008E7EA4171D1340567427789A7F74FC4C605E377DD43E768,
    0x68A104995A7FC5921997B7264EC05B72C860183CCDD2F6F017366CDAE5636E35,
)


def _statements() -> Iterator[Case]:
    good = good_statement()
    yield from _bytes(
        "statement",
        good=good,
        no_tag=good[1:],
        trailing_byte=good + b"\0",
        truncated=good[:-1],
        unprotected_header=good.replace(b"\xa0\x47", b"\xa1\x01\x01\x47", 1),
        long_head=good.replace(b"\xa0\x47", b"\xa0\x58\x07", 1),
        indefinite_payload=good.replace(b"\xa0\x47", b"\xa0\x5f\x47", 1),
        another_algorithm=good.replace(b"\xa4\x01\x27", b"\xa4\x01\x38", 1),
        another_content_format=good.replace(b"\x03\x18\x32", b"\x03\x18\x33", 1),
        issuer_not_utf8=good.replace(b"org-a", b"org-\xff", 1),
        empty=b"",
    )


def _key_proofs() -> Iterator[Case]:
    chain = b64url(sha256(b"chain").digest()[:16])
    bare = KeyDescription(
        alg="EdDSA",
        capacity="so",
        org="h1",
        proof="",
        public_key=b64url(LOG.public_key),
        subject="officer-1",
        valid_from="2026-01-01T00:00:00.000Z",
    )
    proof = b64url(LOG.sign(claim_bytes(claim_of(bare, chain))))
    good = msgspec.structs.replace(bare, proof=proof)
    stranger = b64url(WITNESS.sign(claim_bytes(claim_of(bare, chain))))
    of_genesis = b64url(LOG.sign(claim_bytes(claim_of(bare, None))))
    for name, on, changes in (
        ("good", chain, {}),
        ("good-in-genesis", "", {"proof": of_genesis}),
        ("good-another-window", chain, {"valid_until": "2027-01-01T00:00:00.000Z"}),
        ("another-chain", b64url(bytes(16)), {}),
        ("another-capacity", chain, {"capacity": "dac"}),
        ("another-organisation", chain, {"org": "h2"}),
        ("another-subject", chain, {"subject": "officer-2"}),
        ("by-another-key", chain, {"proof": stranger}),
        ("of-genesis-on-a-chain", chain, {"proof": of_genesis}),
    ):
        description = ENCODE(msgspec.structs.replace(good, **changes))
        yield Case("key-proof", name, {"chain": on, "description": description.hex()})


def _configs() -> Iterator[Case]:
    good = good_config()
    members = good.members
    shared = msgspec.structs.replace(members[1], log_pk=members[0].log_pk)
    for name, changes in {
        "good": {},
        "unsorted": {"members": members[::-1]},
        "key-used-twice": {"members": (members[0], shared, *members[2:])},
        "quorum-too-small": {"q": 2},
        "quorum-too-large": {"q": 5},
        "nobody": {"members": ()},
        "block-smaller-than-an-entry": {
            "limits": Limits(block_bytes=1_000, block_records=4096, min_interval_ms=0)
        },
    }.items():
        config = msgspec.structs.replace(good, **changes)
        yield Case("config", name, {"bytes": encode_config(config).hex()})
    yield Case("config", "not-canonical", {"bytes": (encode_config(good) + b" ").hex()})


def _votes() -> Iterator[Case]:
    config, signer = good_config(), 0
    holders = {signer_from_seed(bytes([16 + 3 * m]) * 32).public_key: m for m in range(4)}
    seed = bytes([16 + 3 * holders[config.node_keys[signer]]]) * 32
    block = sha256(b"block").digest()
    signature = signer_from_seed(seed).sign(signed_bytes(config, "notarize", 7, 5, block))
    good = {
        "block": block.hex(),
        "config": encode_config(config).hex(),
        "height": "5",
        "kind": "notarize",
        "signature": signature.hex(),
        "signer": str(signer),
        "view": "7",
    }
    later = msgspec.structs.replace(config, epoch=4)
    for name, change in {
        "good": {},
        "another-kind": {"kind": "finalize"},
        "another-view": {"view": "8"},
        "another-height": {"height": "6"},
        "another-block": {"block": sha256(b"other").hexdigest()},
        "another-signer": {"signer": "1"},
        "another-epoch": {"config": encode_config(later).hex()},
    }.items():
        yield Case("vote", name, {**good, **change})


def _names() -> Iterator[Case]:
    for name, path in {
        "good": tile_path(0, 1_234_067),
        "partial": tile_path(1, 5, 17),
        "entries": tile_path(-1, 1000),
        "without-x": "tile/0/001/000",
        "width-zero": "tile/0/000.p/0",
        "width-256": "tile/0/000.p/256",
        "level-64": "tile/64/000",
        "leading-group": "tile/0/x000/001",
        "parent": "tile/0/../000",
    }.items():
        yield Case("tile-path", name, {"path": path})


# --- pinned folds ---


def folds() -> dict[str, str]:
    """One hash for each format over seeded cases: encoders' bytes and decoders' verdicts."""
    return {
        "inclusion": _fold(_all_paths()),
        "state": _fold(_all_states()),
        "statement": _fold(good_statement(n) for n in range(10_000)),
        "statement-mutations": _fold(_mutations()),
    }


def _fold(parts: Iterator[bytes]) -> str:
    digest = sha256()
    for part in parts:
        digest.update(sha256(part).digest())
    return digest.hexdigest()


def _all_paths() -> Iterator[bytes]:
    tree = Tree(leaf_hash(b"%d" % n) for n in range(140))
    for size in range(1, 141):
        yield tree.root(size)
        for index in range(size):
            yield b"".join(tree.inclusion(index, size)) + b"".join(tree.consistency(index, size))


def _all_states() -> Iterator[bytes]:
    state = EMPTY_STATE
    for n in range(600):
        state = state.update({state_key("key", str(n * n % 401)): {"n": n}})
        yield state.root + state.prove(state_key("key", str(n)))


def _mutations() -> Iterator[bytes]:
    """Every bit of a statement flipped, every length cut: the verdict for each."""
    good = good_statement()
    for at in range(len(good) * 8):
        data = bytearray(good)
        data[at // 8] ^= 1 << at % 8
        yield repr(run(Case("statement", "", {"bytes": bytes(data).hex()}))).encode()
    for end in range(len(good)):
        yield repr(run(Case("statement", "", {"bytes": good[:end].hex()}))).encode()
