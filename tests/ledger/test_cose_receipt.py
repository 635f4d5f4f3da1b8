"""formats.md F13, F9: the RFC 9942 receipt of our proof, byte for byte.

COSE receipts are no part of the product yet (definitions.md 7). What is here shows that a proof and
a root of ours, and the log key, give exactly the known bytes, and that a stranger's verifier takes
them: so nothing in tree, hashes or signatures stands in the way of issuing them later.
"""

from base64 import b64encode
from collections.abc import Sequence

import cbor2
import pytest
import scitt_cose  # type: ignore[import-untyped]

from ledger.crypto import EDDSA, Signer, signer_from_seed, verify
from ledger.errors import ProofError
from ledger.merkle import Tree, leaf_hash, verify_inclusion

ALG, VDS, VDP = 1, 395, 396
RFC9162_SHA256 = 1
INCLUSION = -1
SIGN1_TAG = 18
ENTRIES = (b"a", b"b", b"c")
TREE = Tree(map(leaf_hash, ENTRIES))
LOG = signer_from_seed(b"\x01" * 32)
KNOWN = bytes.fromhex(
    "d28447a2012719018b01a119018ca120815848830301825820022a6979e6dab7aa5ae4c3e5e45f7e977112a7e6"
    "3593820dbec1ec738a24f93c5820597fcb31282d34654c200d3418fca5705c648ebf326ec73d8ddef11841f876"
    "d8f658400df756a0cf3364be42ecb89816a0e7f31b5212ab11967c5a2728f985371e7aa985813c0539f37747ee"
    "fb85a875a5d16292c167e78bb2aef559bb2cc96edc9c07"
)


def to_be_signed(protected: bytes, root: bytes) -> bytes:
    """What a receipt's signature covers: the root, which the receipt itself leaves out."""
    return cbor2.dumps(["Signature1", protected, b"", root])


def encode_receipt(index: int, size: int, path: Sequence[bytes], root: bytes, key: Signer) -> bytes:
    """The receipt of one leaf by RFC 9942 section 5.2."""
    protected = cbor2.dumps({ALG: key.alg, VDS: RFC9162_SHA256})
    proof = cbor2.dumps([size, index, list(path)])
    signature = key.sign(to_be_signed(protected, root))
    unprotected = {VDP: {INCLUSION: [proof]}}
    return cbor2.dumps(cbor2.CBORTag(SIGN1_TAG, [protected, unprotected, None, signature]))


def check_receipt(receipt: bytes, entry: bytes, key: bytes, root: bytes) -> None:
    """Its proof leads from the entry to this root, by our verifier, and the key signed the root."""
    protected, unprotected, payload, signature = cbor2.loads(receipt).value
    assert payload is None
    (proof,) = unprotected[VDP][INCLUSION]
    size, index, path = cbor2.loads(proof)
    verify_inclusion(index, size, leaf_hash(entry), path, root)
    assert verify(EDDSA, key, signature, to_be_signed(protected, root))


def is_valid_elsewhere(receipt: bytes, entry: bytes) -> bool:
    """What `scitt_cose` says of it, under the log key."""
    found = scitt_cose.verify_receipt(
        receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=public_pem(LOG)
    )
    return bool(found.ok)


def public_pem(key: Signer) -> bytes:
    """The SPKI of an Ed25519 key, as PEM."""
    der = bytes.fromhex("302a300506032b6570032100") + key.public_key
    lines = (b"-----BEGIN PUBLIC KEY-----", b64encode(der), b"-----END PUBLIC KEY-----", b"")
    return b"\n".join(lines)


def test_our_proof_gives_exactly_the_known_receipt() -> None:
    made = encode_receipt(1, 3, TREE.inclusion(1, 3), TREE.root(), LOG)
    assert made == KNOWN
    assert len(made) == 158


def test_the_known_receipt_verifies_here_and_with_a_stranger() -> None:
    check_receipt(KNOWN, b"b", LOG.public_key, TREE.root())
    assert is_valid_elsewhere(KNOWN, b"b")


@pytest.mark.parametrize("entry", [b"a", b"c", b""])
def test_it_is_the_receipt_of_no_other_entry(entry: bytes) -> None:
    with pytest.raises(ProofError) as error:
        check_receipt(KNOWN, entry, LOG.public_key, TREE.root())
    assert error.value.rule == "M2"
    assert not is_valid_elsewhere(KNOWN, entry)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 255, 256, 257])
def test_every_receipt_of_ours_is_one_to_a_stranger(size: int) -> None:
    entries = [b"%d" % number for number in range(size)]
    tree = Tree(map(leaf_hash, entries))
    for index in {0, size // 2, size - 1}:
        made = encode_receipt(index, size, tree.inclusion(index, size), tree.root(), LOG)
        check_receipt(made, entries[index], LOG.public_key, tree.root())
        assert is_valid_elsewhere(made, entries[index])
