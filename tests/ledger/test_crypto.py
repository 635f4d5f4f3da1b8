"""The one rule by which a signature is accepted, keys that may not be used, and key files."""

import subprocess
from math import gcd
from pathlib import Path
from shutil import which

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger import crypto
from ledger.crypto import (
    EDDSA,
    ES256,
    Ed25519Signer,
    P256Signer,
    check_public_key,
    encrypt_private_key,
    key_id,
    load_private_key,
    signer_from_p256_scalar,
    signer_from_seed,
    verify,
)
from ledger.errors import ConfigError, SignatureError
from tests.ledger.edwards import (
    BASE,
    IDENTITY,
    TORSION,
    L,
    P,
    add,
    challenge,
    encode,
    multiply,
    with_y,
)

MESSAGE = b"one acceptance rule"
SEED = bytes(range(32))
SIGNER = signer_from_seed(SEED)
P256 = signer_from_p256_scalar(0xA11CE)
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# --- Ed25519 ---


def test_rfc8032_vectors() -> None:
    """Section 7.1, tests 1 to 3."""
    for seed, public, message, signature in (
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ):
        signer = signer_from_seed(bytes.fromhex(seed))
        assert signer.public_key.hex() == public
        assert signer.sign(bytes.fromhex(message)).hex() == signature
        parts = (bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))
        assert verify(EDDSA, *parts)


def forged(a: int, r: int, i: int, j: int, message: bytes) -> tuple[bytes, bytes, int]:
    """A key `a B + T_i`, a signature with `R = r B + T_j` that holds up to small order, and what is
    left over: 0 exactly where it holds without a cofactor.
    """
    key = encode(add(multiply(a, BASE), TORSION[i]))
    first = encode(add(multiply(r, BASE), TORSION[j]))
    k = challenge(first, key, message)
    return key, first + ((r + k * a) % L).to_bytes(32, "little"), (j + k * i) % 8


A, R = 0x1234567890ABCDEF % L, 0xFEDCBA0987654321 % L


@pytest.mark.parametrize("i", range(8))
@pytest.mark.parametrize("j", range(8))
def test_points_of_mixed_order_are_taken_exactly_where_the_equation_holds(i: int, j: int) -> None:
    seen = set()
    for n in range(96):
        message = b"message %d" % n
        key, signature, rest = forged(A, R, i, j, message)
        assert verify(EDDSA, key, signature, message) is (rest == 0)
        seen.add(rest == 0)
    # Some rest of R can be cancelled by a rest of the key, if that has the order for it.
    assert True in seen or j % gcd(i, 8)
    assert False in seen or i == j == 0


@pytest.mark.parametrize("i", range(8))
def test_keys_of_small_order_sign_nothing(i: int) -> None:
    for j in range(8):
        for n in range(8):
            key, signature, _ = forged(0, R, i, j, b"%d" % n)
            assert not verify(EDDSA, key, signature, b"%d" % n)
    with pytest.raises(SignatureError, match="C1"):
        check_public_key(EDDSA, encode(TORSION[i]))


def test_without_the_list_openssl_would_take_a_key_of_small_order() -> None:
    """So the list is needed: `A` = identity signs every message."""
    key, signature, rest = forged(0, R, 0, 0, MESSAGE)
    assert rest == 0
    Ed25519PublicKey.from_public_bytes(key).verify(signature, MESSAGE)
    assert not verify(EDDSA, key, signature, MESSAGE)


@pytest.mark.parametrize("j", range(8))
def test_a_first_half_of_small_order_is_refused(j: int) -> None:
    for n in range(8):
        key, signature, _ = forged(A, 0, 0, j, b"%d" % n)
        assert signature[:32] == encode(TORSION[j])
        assert not verify(EDDSA, key, signature, b"%d" % n)


def test_without_the_list_openssl_would_take_a_first_half_of_small_order() -> None:
    key, signature, rest = forged(A, 0, 0, 0, MESSAGE)
    assert rest == 0
    Ed25519PublicKey.from_public_bytes(key).verify(signature, MESSAGE)
    assert not verify(EDDSA, key, signature, MESSAGE)


OTHER_ENCODINGS = [
    (y + carry | sign << 255).to_bytes(32, "little")
    for y, carry in ((0, P), (1, P), (1, 0), (P - 1, 0))
    for sign in (0, 1)
    if carry or sign
]
"""The points of small order in their other encodings: y + p, and the sign of an x that is 0."""


@pytest.mark.parametrize("encoding", OTHER_ENCODINGS)
def test_other_encodings_of_small_order_are_refused(encoding: bytes) -> None:
    with pytest.raises(SignatureError, match="C1"):
        check_public_key(EDDSA, encoding)
    for n in range(8):
        message = b"%d" % n
        s = R.to_bytes(32, "little")
        first = encode(multiply(R, BASE))
        assert not verify(EDDSA, encoding, first + s, message)
        key = encode(multiply(A, BASE))
        k = challenge(encoding, key, message)
        assert not verify(EDDSA, key, encoding + (k * A % L).to_bytes(32, "little"), message)


def test_keys_whose_y_is_not_reduced_are_refused() -> None:
    refused = [y for y in range(2, 19) if with_y(y) is not None]
    assert len(refused) > 5
    for y in refused:
        for sign in (0, 1):
            point = (y + P | sign << 255).to_bytes(32, "little")
            with pytest.raises(SignatureError, match="C1"):
                check_public_key(EDDSA, point)
            check_public_key(EDDSA, (y | sign << 255).to_bytes(32, "little"))


def test_keys_on_no_point_of_the_curve_are_refused() -> None:
    off = [y for y in range(2, 40) if with_y(y) is None]
    assert len(off) > 5
    for y in off:
        key = y.to_bytes(32, "little")
        with pytest.raises(SignatureError, match="C1"):
            check_public_key(EDDSA, key)
        assert not verify(EDDSA, key, SIGNER.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("times", [1, 2, 7])
def test_s_must_be_less_than_the_order(times: int) -> None:
    signature = SIGNER.sign(MESSAGE)
    s = int.from_bytes(signature[32:], "little") + times * L
    longer = signature[:32] + s.to_bytes(32, "little")
    assert not verify(EDDSA, SIGNER.public_key, longer, MESSAGE)


def test_our_arithmetic_is_that_of_the_curve() -> None:
    """Else the tests above would prove nothing."""
    assert multiply(L, BASE) == IDENTITY
    assert len({encode(point) for point in TORSION}) == 8
    assert {encode(point) for point in TORSION} <= crypto._SMALL_ORDER
    assert all(multiply(8, point) == IDENTITY for point in TORSION)


@pytest.mark.parametrize("length", [0, 63, 65, 96])
def test_signatures_have_64_bytes(length: int) -> None:
    for signer in (SIGNER, P256):
        signature = (signer.sign(MESSAGE) * 2)[:length]
        assert not verify(signer.alg, signer.public_key, signature, MESSAGE)


def test_every_flipped_bit_is_seen() -> None:
    signature = SIGNER.sign(MESSAGE)
    for bit in range(0, 512, 3):
        other = bytearray(signature)
        other[bit // 8] ^= 1 << bit % 8
        assert not verify(EDDSA, SIGNER.public_key, bytes(other), MESSAGE)


# --- ES256 ---


def test_es256_signatures_have_low_s() -> None:
    for n in range(32):
        signature = P256.sign(b"%d" % n)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        assert s <= N // 2
        assert verify(ES256, P256.public_key, signature, b"%d" % n)
        high = signature[:32] + (N - s).to_bytes(32, "big")
        der = utils.encode_dss_signature(r, N - s)
        P256.private.public_key().verify(der, b"%d" % n, ec.ECDSA(hashes.SHA256()))
        assert not verify(ES256, P256.public_key, high, b"%d" % n)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (N, 1), (1, N), (N + 1, 1), (2**256 - 1, 1)])
def test_es256_numbers_out_of_range_are_refused(r: int, s: int) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert not verify(ES256, P256.public_key, signature, MESSAGE)


def test_es256_of_another_message_is_refused() -> None:
    assert not verify(ES256, P256.public_key, P256.sign(MESSAGE), MESSAGE + b"!")


NOT_ON_P256 = next(
    key
    for x in range(1, 100)
    for key in [b"\x02" + x.to_bytes(32, "big")]
    if pow(x**3 - 3 * x + 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
           (2**256 - 2**224 + 2**192 + 2**96 - 1) // 2,
           2**256 - 2**224 + 2**192 + 2**96 - 1) != 1
)  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [
        NOT_ON_P256,
        b"\x00",
        b"\x05" + P256.public_key[1:],
        b"\x02" + b"\xff" * 32,
        P256.public_key[:-1],
        P256.public_key + b"\x00",
        P256.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        ),
    ],
)
def test_es256_keys_that_may_not_be_used(key: bytes) -> None:
    with pytest.raises(SignatureError, match="C1"):
        check_public_key(ES256, key)
    if len(key) == 33:
        assert not verify(ES256, key, P256.sign(MESSAGE), MESSAGE)


# --- both ---


def test_keys_that_may_be_used() -> None:
    check_public_key(EDDSA, SIGNER.public_key)
    check_public_key(ES256, P256.public_key)


@pytest.mark.parametrize("alg", [0, -35, -9, 1])
def test_no_other_algorithm_verifies_or_is_a_key(alg: int) -> None:
    assert not verify(alg, SIGNER.public_key, SIGNER.sign(MESSAGE), MESSAGE)
    with pytest.raises(SignatureError, match="C1"):
        check_public_key(alg, SIGNER.public_key)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_ed25519_keys_have_32_bytes(length: int) -> None:
    key = (SIGNER.public_key * 2)[:length]
    with pytest.raises(SignatureError, match="C1"):
        check_public_key(EDDSA, key)
    assert not verify(EDDSA, key, SIGNER.sign(MESSAGE), MESSAGE)


def test_a_key_of_one_algorithm_verifies_nothing_of_the_other() -> None:
    assert not verify(EDDSA, P256.public_key, P256.sign(MESSAGE), MESSAGE)
    assert not verify(ES256, SIGNER.public_key, SIGNER.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("signer", [SIGNER, P256])
def test_key_ids_are_the_hash_of_the_public_key_in_der(signer: Ed25519Signer | P256Signer) -> None:
    der = (
        SIGNER.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if signer is SIGNER
        else bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + P256.public_key
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    assert signer.kid == digest.finalize()[:16] == key_id(signer.alg, signer.public_key)


# --- key files, all made here and now ---

ENCODING = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
OPENSSH = serialization.PrivateFormat.OpenSSH
PLAIN = serialization.NoEncryption()


@pytest.mark.parametrize("signer", [SIGNER, P256])
def test_encrypted_key_files(signer: Ed25519Signer | P256Signer) -> None:
    data = encrypt_private_key(signer, b"correct horse")
    assert data.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    loaded = load_private_key(data, b"correct horse")
    assert (loaded.alg, loaded.public_key, loaded.kid) == (
        signer.alg,
        signer.public_key,
        signer.kid,
    )
    assert verify(signer.alg, signer.public_key, loaded.sign(MESSAGE), MESSAGE)
    for passphrase in (None, b"", b"wrong"):
        with pytest.raises(ConfigError, match="C3"):
            load_private_key(data, passphrase)


@pytest.mark.parametrize("form", [PKCS8, OPENSSH])
@pytest.mark.parametrize("passphrase", [None, b"", b"not needed"])
@pytest.mark.parametrize("signer", [SIGNER, P256])
def test_plain_key_files_open_whatever_passphrase_is_set(
    signer: Ed25519Signer | P256Signer,
    form: serialization.PrivateFormat,
    passphrase: bytes | None,
) -> None:
    data = signer.private.private_bytes(ENCODING, form, PLAIN)
    assert load_private_key(data, passphrase).kid == signer.kid


@pytest.mark.parametrize("passphrase", [None, b"secret"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        SIGNER.private.public_key().public_bytes(
            ENCODING, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    ],
)
def test_other_files_are_no_key_files(data: bytes, passphrase: bytes | None) -> None:
    with pytest.raises(ConfigError, match="C2"):
        load_private_key(data, passphrase)


@pytest.mark.parametrize(
    "key",
    [
        ec.derive_private_key(7, ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
)
def test_keys_of_another_kind_are_refused(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    with pytest.raises(ConfigError, match="C4"):
        load_private_key(key.private_bytes(ENCODING, PKCS8, PLAIN), None)


def test_files_of_the_ssh_keygen_of_others(tmp_path: Path) -> None:
    tool = which("ssh-keygen")
    if tool is None:
        pytest.skip("ssh-keygen is not installed")
    for name, passphrase in (("plain", ""), ("locked", "a passphrase")):
        file = tmp_path / name
        command = [tool, "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(file)]
        subprocess.run(command, check=True)
    assert isinstance(load_private_key((tmp_path / "plain").read_bytes(), None), Ed25519Signer)
    locked = (tmp_path / "locked").read_bytes()
    with pytest.raises(ConfigError, match="C3"):
        load_private_key(locked, None)


def test_an_encryption_that_is_not_supported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encrypted OpenSSH files need a package that is not installed here."""

    def loader(data: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
        if passphrase is None:
            raise TypeError(data)
        raise UnsupportedAlgorithm("bcrypt")

    monkeypatch.setattr(serialization, "load_ssh_private_key", loader)
    with pytest.raises(ConfigError, match="C5"):
        load_private_key(b"-----BEGIN OPENSSH PRIVATE KEY-----", b"secret")
