"""Asking a node: over TLS, with API keys, and with the key that one names."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cli.conftest import Chain, call, make_chain, serving
from tests.support.process import free_port


def make_certificate(folder: Path, name: str) -> None:
    """A certificate that a node made for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "tls.crt").write_bytes(certificate.public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    (folder / "tls.key").write_bytes(secret)
    (folder / "tls.key").chmod(0o600)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    made = call("init", "--org", "h1", "--port", str(free_port()), "--home", tmp_path / "home")
    assert made.code == 0, made.err
    return tmp_path / "home"


def test_a_node_speaks_tls_under_its_name(home: Path) -> None:
    make_certificate(home / "keys", "localhost")
    port = free_port()
    text = f"""port = {port}
tls_certificate = "keys/tls.crt"
tls_key = "keys/tls.key"
names = ["localhost:{port}"]
"""
    (home / "node.toml").write_text(text)
    with serving(home):
        status = call("node", "status", "--home", home, "--json")
        assert status.json["node"]["status"] == "ok"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://localhost:{port}/health")
        stranger = call(
            "node", "status", "--home", home, "--node", f"https://127.0.0.1:{port}", "--lang", "en"
        )
        assert (stranger.code, "O7" in stranger.err) == (19, True)


def test_a_key_that_does_not_fit_its_certificate_is_refused(home: Path, tmp_path: Path) -> None:
    make_certificate(home / "keys", "localhost")
    make_certificate(tmp_path, "localhost")
    (home / "keys" / "tls.key").write_bytes((tmp_path / "tls.key").read_bytes())
    text = 'port = 1\ntls_certificate = "keys/tls.crt"\ntls_key = "keys/tls.key"\n'
    (home / "node.toml").write_text(text)
    refused = call("node", "run", "--home", home, "--lang", "en")
    assert (refused.code, "O1.tls" in refused.err) == (18, True)


def test_an_api_key_is_made_used_and_revoked(tmp_path: Path) -> None:
    with make_chain(tmp_path / "home") as chain:
        made = chain.json("apikey", "new", "--scope", "metrics", "--days", "3")
        bearer = {"authorization": f"Bearer {made['secret']}"}

        def ask(path: str) -> int:
            return httpx.get(chain.url + path, headers=bearer).status_code

        assert (ask("/metrics"), ask("/health"), ask("/checkpoint")) == (200, 200, 403)
        listed = chain.json("apikey", "list")
        assert [row["id"] for row in listed] == [made["id"]]
        assert made["secret"] not in str(listed)
        assert chain.json("apikey", "revoke", made["id"])["revoked_s"]
        assert ask("/metrics") == 401
        assert chain("apikey", "revoke", "none").code == 14
        assert chain("apikey", "new", "--scope", "everything").code == 10
        assert "revoked" in chain("apikey", "list", "--lang", "en").out


def test_the_key_that_asks_is_the_one_that_is_named(chain: Chain) -> None:
    assert chain("findings", "--key", "committee").code == 0
    refused = chain("accesses", "--key", "system", "--lang", "en")
    assert (refused.code, "P1" in refused.err) == (20, True)
    assert chain("findings", "--key", "log").code == 20
    assert chain("findings", "--key", "nobody").code == 14
