"""TLS of nodes: the certificate that each makes for itself, and the pins by which others know it
(SPEC 13.7).

There is no authority, and no date that stops the network: whoever knows the pin of a certificate
asks for nothing else. Pins stand in `endpoint` records; before there is one, an address brings its
pin along: `https://10.0.0.1:8471#<pin>`.
"""

import re
import secrets
import ssl
from collections.abc import Sequence
from logging import INFO, WARNING
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.crypto import (
    certificate_end_s,
    certificate_pin,
    encrypt_private_key,
    make_certificate,
    signer_from_p256_scalar,
)
from ledger.encoding import b64url
from ledger.errors import AllianceError, ConfigError, SignatureError
from node.config import OWN_TLS, Config, speaks_tls, write_private
from node.logs import log_event

NEXT_TLS: Final = "tls-next"
"""The file of the certificate that is to follow, beside `OWN_TLS`."""
DAYS: Final = 825
"""How long a certificate says that it is good: what browsers bear; nodes do not look at it."""
DAY_S: Final = 86_400
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n?", re.ASCII
)


class Trust(NamedTuple):
    """By what the other side is known: its pins where there are any, else authorities."""

    pins: frozenset[str] = frozenset()
    """Each of them SHA-256 of a key's SPKI DER, base64url."""
    authorities: Path | None = None
    """PEM file; None: the authorities of this machine."""


# --- the side that asks ---------------------------------------------------------------------------


class WrongCertificateError(ssl.SSLError):
    """Something answers that none of the pins names."""


class PinnedContext(ssl.SSLContext):
    """TLS with whoever has one of the pinned keys; names and dates are not looked at."""

    pins: frozenset[str] = frozenset()

    def check(self, certificate: bytes | None) -> None:
        """After the handshake, which has proven that the other side has the certificate's key.
        Raises `WrongCertificateError`.
        """
        try:
            known = b64url(certificate_pin(certificate or b"")) in self.pins
        except SignatureError:
            known = False
        if not known:
            raise WrongCertificateError


class _PinnedSocket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        """The handshake, and who it was with."""
        super().do_handshake(block)
        _check(self)


class _PinnedObject(ssl.SSLObject):
    def do_handshake(self) -> None:
        """The handshake, and who it was with."""
        super().do_handshake()
        _check(self)


def _check(side: ssl.SSLSocket | ssl.SSLObject) -> None:
    context = side.context
    if not isinstance(context, PinnedContext):
        raise WrongCertificateError
    context.check(side.getpeercert(binary_form=True))


PinnedContext.sslsocket_class = _PinnedSocket
PinnedContext.sslobject_class = _PinnedObject


def context_of(trust: Trust) -> ssl.SSLContext:
    """TLS for whoever asks. Raises `ConfigError` (O1.file)."""
    if trust.pins:
        context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.pins = trust.pins
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=trust.authorities)
    except (OSError, ssl.SSLError):
        name = trust.authorities.name if trust.authorities else "-"
        raise ConfigError("O1.file", file=name) from None


def is_wrong_certificate(error: BaseException | None) -> bool:
    """Whether a request failed because of whom it met."""
    while error is not None and not isinstance(error, WrongCertificateError):
        error = error.__cause__ or error.__context__
    return error is not None


def split_pin(address: str) -> tuple[str, frozenset[str]]:
    """An address without the pin that it brings along, and that pin."""
    url, _mark, pin = address.partition("#")
    return url, frozenset({pin}) if pin else frozenset()


# --- the side that is asked -----------------------------------------------------------------------


class Served:
    """The certificate that this node shows. Whoever replaces its files has the new one shown from
    the next connection on; while they do not fit each other the old one stays.
    """

    def __init__(self, files: tuple[Path, Path], passphrase: bytes | None) -> None:
        self._files = files
        self._passphrase = passphrase or b""
        self._stamp = self._stamps()
        self._current = self._load()

    def context(self) -> ssl.SSLContext:
        """What a server needs."""
        context = self._load()
        context.sni_callback = self._choose
        return context

    def _choose(self, link: Any, _name: str | None, _context: ssl.SSLContext) -> None:  # noqa: ANN401  # as ssl has it
        stamp = self._stamps()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._current = self._load()
                log_event(INFO, "certificate-changed")
            except ConfigError as error:
                log_event(WARNING, "certificate-unreadable", rule=error.rule)
        link.context = self._current

    def _stamps(self) -> list[tuple[int, int]]:
        return [_stamp_of(path) for path in self._files]

    def _load(self) -> ssl.SSLContext:
        """Raises `ConfigError` (O1.tls) for a pair that does not fit."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # OpenSSL would ask a terminal for a passphrase that it is not given.
            context.load_cert_chain(*self._files, lambda: self._passphrase)
        except (OSError, ssl.SSLError):
            raise ConfigError("O1.tls") from None
        return context


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_ino


def tls_of(config: Config, host: str) -> dict[str, Any]:
    """What uvicorn needs to speak TLS at this address, where it is to. Raises `ConfigError`
    (O1.tls) for a pair that does not fit.
    """
    if not speaks_tls(config, host):
        return {}
    files = config.key_dir / OWN_TLS, config.key_dir / OWN_TLS
    if config.tls_key:
        files = config.home / config.tls_certificate, config.home / config.tls_key
    served = Served(files, config.passphrase)
    return {"ssl_context_factory": lambda _config, _usual: served.context()}


# --- the certificates of a home directory ---------------------------------------------------------


class Shown(NamedTuple):
    """A certificate of this node, as others know it."""

    pin: str
    until_s: int


def shown_by(path: Path) -> Shown:
    """What a file of a certificate shows. Raises `ConfigError` (O1.file, O1.tls)."""
    try:
        found = _CERTIFICATE.search(path.read_text("ascii"))
        if found is None:
            raise ConfigError("O1.tls")
        certificate = ssl.PEM_cert_to_DER_cert(found[0])
        return Shown(b64url(certificate_pin(certificate)), certificate_end_s(certificate))
    except OSError:
        raise ConfigError("O1.file", file=path.name) from None
    except (ValueError, AllianceError):
        raise ConfigError("O1.tls") from None


def own_pins(config: Config) -> frozenset[str]:
    """By what this node's certificate is known, and the next one where there is one. Raises
    `ConfigError` (O1.file, O1.tls).
    """
    if config.tls_certificate:
        return frozenset({shown_by(config.home / config.tls_certificate).pin})
    files = (config.key_dir / name for name in (OWN_TLS, NEXT_TLS))
    return frozenset(shown_by(path).pin for path in files if path.exists())


def new_certificate(path: Path, hosts: Sequence[str], passphrase: bytes, now_s: int) -> Shown:
    """Make a key and a certificate in one file, the key encrypted. Raises `ConfigError`
    (X1.file).
    """
    key = signer_from_p256_scalar(1 + secrets.randbelow(2**255))
    serial = 1 + secrets.randbelow(2**126)
    until_s = now_s + DAYS * DAY_S
    certificate = make_certificate(key, hosts, now_s - DAY_S, until_s, serial)
    secret = encrypt_private_key(key, passphrase)
    write_private(path, secret + ssl.DER_cert_to_PEM_cert(certificate).encode())
    return Shown(b64url(certificate_pin(certificate)), until_s)


def take_over(config: Config) -> None:
    """The next certificate takes the place of the one in use, in one step. Raises `ConfigError`
    (X1.file).
    """
    path = config.key_dir / OWN_TLS
    try:
        path.with_name(NEXT_TLS).replace(path)
    except OSError:
        raise ConfigError("X1.file", file=NEXT_TLS) from None
