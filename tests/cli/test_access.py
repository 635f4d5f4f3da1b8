"""Asking a node: over TLS, with API keys, and with the key that one names."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli.home import way_to_node
from node.config import load_config
from node.tls import Trust, own_pins, tls_of
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
        # Elsewhere: by the pin that the address brings along, else by the machine's authorities.
        pin = call("tls", "show", "--home", home, "--json").json["shown"]["pin"]
        away = home.parent / "away"
        away.mkdir()
        for name in ("genesis", "keys"):
            (away / name).symlink_to(home / name)
        for address, code, rule in (
            (f"https://127.0.0.1:{port}#{pin}", 0, ""),
            (f"https://127.0.0.1:{port}", 19, "O7:"),
            (f"https://127.0.0.1:{port}#{'A' * 43}", 19, "O7.pin:"),
        ):
            asked = call("node", "status", "--home", away, "--node", address, "--lang", "en")
            assert (asked.code, rule in asked.err) == (code, True), asked.err


def test_a_new_home_speaks_tls_elsewhere_than_on_loopback(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = call("init", "--org", "h1", "--host", "10.9.8.7", "--port", "8470", "--home", home)
    assert made.code == 0, made.err
    config = load_config(home)
    assert config.names == ("10.9.8.7:8470",)
    assert set(tls_of(config, config.host)) == {"ssl_context_factory"}
    assert tls_of(config, "127.0.0.1") == {}
    assert way_to_node(home, None) == ("https://10.9.8.7:8470", Trust(own_pins(config)))
    listen = call("node", "peers", "--listen", "10.9.8.7:8471", "--home", home, "--json")
    assert listen.json["listen"] == "10.9.8.7:8471"
    shown = call("tls", "show", "--home", home, "--json").json
    assert shown["address"] == f"https://10.9.8.7:8471#{shown['shown']['pin']}"
    bad = call("node", "peers", "h2=https://10.9.8.8:8471#short", "--home", home)
    assert bad.code == 10
    # A proxy that speaks TLS is spoken to in clear.
    assert tls_of(replace(config, proxies=("10.9.8.6",)), config.host) == {}
    (home / "keys" / "tls").chmod(0o640)
    refused = call("node", "run", "--home", home, "--lang", "en")
    assert (refused.code, "O1.mode" in refused.err) == (18, True)
    (home / "keys" / "tls").unlink()
    refused = call("node", "run", "--home", home, "--lang", "en")
    assert (refused.code, "O1.host" in refused.err) == (18, True)


def test_a_certificate_of_somebody_else_s_is_not_renewed_here(home: Path) -> None:
    (home / "keys" / "tls").unlink()
    made = call("tls", "renew", "--home", home, "--json").json
    assert made["step"] == "made"
    make_certificate(home / "keys", "localhost")
    text = 'tls_certificate = "keys/tls.crt"\ntls_key = "keys/tls.key"\n'
    (home / "node.toml").write_text(text)
    refused = call("tls", "renew", "--home", home, "--lang", "en")
    assert (refused.code, "X12.given" in refused.err) == (18, True)


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


def test_a_browser_is_let_in_with_what_the_command_prints(chain: Chain) -> None:
    made = chain.json("login", "--key", "committee")
    assert made["address"].startswith(f"{chain.url}/login?code={made['code']}&")
    assert chain("login", "--lang", "zh").out.startswith(f"请打开 {chain.url}/login?code=")
    with httpx.Client(base_url=chain.url, headers={"origin": chain.url}) as browser:
        opened = browser.post("/login", data={"code": made["code"]})
        assert opened.status_code == 303
        assert "committee" in browser.get("/").text
    refused = chain("login", "--key", "system", "--lang", "en")
    assert (refused.code, "P1" in refused.err) == (20, True)
