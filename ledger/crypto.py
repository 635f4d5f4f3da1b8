"""Hash, sign, verify, key ids: the only importer of `cryptography` (SPEC 2.5; formats.md, "One
acceptance rule").

A signature is accepted by one rule, whoever checks it: libsodium's for Ed25519 (S < L; A and R
canonical and not of
small order; cofactorless), low S for ES256. A faster verifier that follows another rule would split
the network.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import ConfigError, ProofError, SignatureError

EDDSA: Final = -8
ES256: Final = -7

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SPKI_ED25519: Final = bytes.fromhex("302a300506032b6570032100")
_SPKI_P256: Final = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")

# The y of the points of order 1, 2, 4 and 8, with both signs of x. Encodings of y >= p are refused
# as not canonical.
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = frozenset(
    (y | sign << 255).to_bytes(32, "little")
    for y in (0, 1, _P - 1, _Y8, _P - _Y8)
    for sign in (0, 1)
)


class Signer(Protocol):
    """A private key that signs; the key itself stays where it is (a file, later a device)."""

    @property
    def alg(self) -> int:
        """`EDDSA` or `ES256`."""

    @property
    def public_key(self) -> bytes:
        """32 bytes for Ed25519, the 33 bytes of the compressed point for P-256."""

    @property
    def kid(self) -> bytes:
        """The key id, 16 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of a message."""


class Ed25519Signer:
    """An Ed25519 key in memory."""

    alg = EDDSA

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.private = key
        self.public_key = key.public_key().public_bytes_raw()
        self.kid = key_id(EDDSA, self.public_key)
        self.sign = key.sign


class P256Signer:
    """A P-256 key in memory; its signatures have low S."""

    alg = ES256

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self.private = key
        self.public_key = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )
        self.kid = key_id(ES256, self.public_key)

    def sign(self, message: bytes) -> bytes:
        """`r || s` with s in the lower half."""
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + min(s, _N - s).to_bytes(32, "big")


def signer_from_seed(seed: bytes) -> Ed25519Signer:
    """The Ed25519 key of a 32-byte seed (RFC 8032)."""
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed))


def signer_from_p256_scalar(scalar: int) -> P256Signer:
    """The P-256 key of a scalar."""
    return P256Signer(ec.derive_private_key(scalar, ec.SECP256R1()))


@lru_cache(maxsize=4096)
def key_id(alg: int, public_key: bytes) -> bytes:
    """The first 16 bytes of SHA-256 over the SPKI DER of a key."""
    prefix = _SPKI_ED25519 if alg == EDDSA else _SPKI_P256
    return sha256(prefix + public_key).digest()[:16]


def check_public_key(alg: int, public_key: bytes) -> None:
    """Whether a key may be used at all. Raises `SignatureError` (C1)."""
    if alg == EDDSA:
        if len(public_key) != 32 or not _is_canonical(public_key) or public_key in _SMALL_ORDER:
            raise SignatureError("C1")
        # A y without an x is on no curve point; OpenSSL finds out only when it verifies.
        if not _is_on_curve(public_key):
            raise SignatureError("C1")
        return
    if alg != ES256 or len(public_key) != 33:
        raise SignatureError("C1")
    _p256(public_key)


def _is_canonical(point: bytes) -> bool:
    return int.from_bytes(point, "little") & ((1 << 255) - 1) < _P


_D: Final = -121665 * pow(121666, -1, _P) % _P


def _is_on_curve(point: bytes) -> bool:
    """x^2 = (y^2 - 1) / (d y^2 + 1) has a root."""
    y = int.from_bytes(point, "little") & ((1 << 255) - 1)
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return square == 0 or pow(square, (_P - 1) // 2, _P) == 1


@lru_cache(maxsize=4096)
def _ed25519(public_key: bytes) -> Ed25519PublicKey | None:
    """A key object, or None for a key that may not be used; made once for each key."""
    try:
        check_public_key(EDDSA, public_key)
    except SignatureError:
        return None
    return Ed25519PublicKey.from_public_bytes(public_key)


@lru_cache(maxsize=4096)
def _p256(public_key: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    except ValueError:
        raise SignatureError("C1") from None


def verify(alg: int, public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether this is a signature of the message under this key, by the one acceptance rule."""
    if len(signature) != 64:
        return False
    if alg == ES256:
        return _verify_p256(public_key, signature, message)
    if alg != EDDSA or signature[:32] in _SMALL_ORDER:
        return False
    key = _ed25519(public_key)
    if key is None:
        return False
    # OpenSSL checks S < L and compares the encoding of the computed R, so that only a canonical R
    # can match.
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _verify_p256(public_key: bytes, signature: bytes, message: bytes) -> bool:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < _N and 0 < s <= _N // 2):
        return False
    try:
        _p256(public_key).verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, SignatureError):
        return False
    return True


# --- what lies in a vault ---

NONCE_BYTES: Final = 12


def encrypt(key: bytes, nonce: bytes, data: bytes, bound: bytes) -> bytes:
    """AES-256-GCM of `data`, good for `bound` only; nonce (12 bytes, never used before with this
    key), ciphertext and tag in one.
    """
    return nonce + AESGCM(key).encrypt(nonce, data, bound)


def decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """The bytes that `encrypt` was given. Raises `ProofError` (T6.data) for another key, other
    bytes or another `bound`.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise ProofError("T6.data") from None


# --- key files ---


def load_private_key(data: bytes, passphrase: bytes | None) -> Ed25519Signer | P256Signer:
    """A key from PKCS#8 PEM (encrypted or not) or an OpenSSH Ed25519 file. A passphrase that the
    file does not need is not used.

    Raises `ConfigError`: C2 for a file of another form, C3 for a wrong or missing passphrase, C4
    for another kind of key, C5 for an encryption that is not supported here.
    """
    key = _private_key(data, passphrase)
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Signer(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return P256Signer(key)
    raise ConfigError("C4")


def _private_key(data: bytes, passphrase: bytes | None) -> object:
    loader = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH" in data
        else serialization.load_pem_private_key
    )
    try:
        return loader(data, None)
    except TypeError:  # the file is encrypted
        if not passphrase:
            raise ConfigError("C3") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("C2") from None
    try:
        return loader(data, passphrase)
    except ValueError:
        raise ConfigError("C3") from None
    except UnsupportedAlgorithm:
        raise ConfigError("C5") from None


def encrypt_private_key(signer: Ed25519Signer | P256Signer, passphrase: bytes) -> bytes:
    """The key as encrypted PKCS#8 PEM. The salt is OpenSSL's own; the chain never sees it."""
    return signer.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )


# --- certificates of nodes (SPEC 13.7) ---


def make_certificate(
    key: P256Signer, hosts: Sequence[str], from_s: int, until_s: int, serial: int
) -> bytes:
    """A certificate, in DER, that a node's TLS key signs for itself; times in POSIX seconds. P-256,
    because browsers know no other key that we have.
    """
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0][:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(serial)
        .not_valid_before(_moment(from_s))
        .not_valid_after(_moment(until_s))
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key.private, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def _moment(time_s: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_s)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def certificate_pin(certificate: bytes) -> bytes:
    """By what a certificate (DER) is known: SHA-256 of the SPKI DER of its key, whatever else it
    says. Raises `SignatureError` (C6) for what is no certificate.
    """
    return sha256(_spki(_certificate(certificate))).digest()


def certificate_end_s(certificate: bytes) -> int:
    """Until when a certificate says that it is good, in POSIX seconds. Raises `SignatureError`
    (C6).
    """
    end = _certificate(certificate).not_valid_after_utc
    return int((end - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise SignatureError("C6") from None


def _spki(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureError("C6") from None
