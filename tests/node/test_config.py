"""What a node refuses to start with."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from ledger.crypto import encrypt_private_key
from ledger.errors import AllianceError, ConfigError
from node.config import Config, load_config
from node.main import create_app, open_driver
from tests.support.node import PASSPHRASE, make_home
from tests.support.world import World, make_world


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture
def home(tmp_path: Path, world: World) -> Path:
    return make_home(world, tmp_path / "home")


def rule_of(action: Callable[[], object]) -> str:
    with pytest.raises(AllianceError) as error:
        action()
    assert isinstance(error.value, ConfigError)
    # The sentences must be complete: every fact that they name is given.
    assert error.value.sentence("en")
    assert error.value.sentence("zh")
    assert error.value.next_step("zh")
    return error.value.rule


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "192.168.1.4", "::", "example.org", "", "127.0.0.1.example.org"],  # noqa: S104
)
def test_only_loopback(home: Path, host: str) -> None:
    (home / "node.toml").write_text(f'host = "{host}"\n')
    assert rule_of(lambda: load_config(home)) == "O1.host"
    assert rule_of(lambda: create_app(Config(home=home, host=host))) == "O1.host"


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, "O1.host"),
        ({"proxies": ("10.0.0.5",)}, "O1.names"),
        ({"names": ("h1.example:8470",)}, "O1.host"),
        ({"tls_certificate": "keys/tls.crt"}, "O1.tls"),
        ({"tls_key": "keys/tls.key"}, "O1.tls"),
        ({"tls_certificate": "c", "tls_key": "keys/none", "names": ("h1.example",)}, "O1.file"),
        ({"tls_certificate": "c", "tls_key": "keys/open", "names": ("h1.example",)}, "O1.mode"),
    ],
)
@pytest.mark.parametrize("field", ["host", "peer_host"])
def test_elsewhere_only_with_tls_or_a_declared_proxy_and_names(
    home: Path, settings: dict[str, Any], rule: str, field: str
) -> None:
    (home / "keys" / "open").write_text("x")
    config = Config(home=home, **{field: "10.0.0.1"}, **settings)
    assert rule_of(lambda: create_app(config)) == rule


def test_elsewhere_behind_a_declared_proxy(home: Path) -> None:
    """Whoever does not come through it is refused."""
    text = 'host = "10.0.0.1"\nproxies = ["10.0.0.5"]\nnames = ["h1.example"]\n'
    (home / "node.toml").write_text(text)
    app = create_app(load_config(home))

    async def ask(address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://h1.example") as client:
            return await client.get("/genesis")

    assert asyncio.run(ask("10.0.0.5")).status_code == 200
    assert asyncio.run(ask("127.0.0.1")).status_code == 200
    refused = asyncio.run(ask("10.0.0.6"))
    assert (refused.status_code, refused.json()["rule"]) == (403, "O5.proxy")
    app.state.driver.store.close()
    app.state.vault.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_loopback_addresses(home: Path, host: str) -> None:
    (home / "node.toml").write_text(f'host = "{host}"\nport = 9000\n')
    config = load_config(home)
    assert (config.host, config.port, config.passphrase) == (host, 9000, PASSPHRASE)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("colour = 1", "O1.field"),
        ('port = "8470"', "O1.field"),
        ("port = 70000", "O1.field"),
        ("port = true", "O1.field"),
        ("names = [1]", "O1.field"),
        ('names = "x"', "O1.field"),
        ("wait_ms = 0", "O1.field"),
        ('database = "../x.db"', "O1.field"),
        ('passphrase = "secret"', "O1.field"),
        ("not toml", "O1.toml"),
        ("port = ", "O1.toml"),
        ("port = 1\nport = 2", "O1.toml"),
    ],
)
def test_settings_that_are_none(home: Path, text: str, rule: str) -> None:
    (home / "node.toml").write_text(text)
    assert rule_of(lambda: load_config(home)) == rule


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"port = 1\n\nport = 2\n", 3),
        (b'host = "::1"\n[peers\n', 2),
        (b"wait_ms = 9\n# \xff\n", 2),
        (b"port = 1\nhost = [", 2),
    ],
)
def test_what_is_no_toml_is_said_with_its_line(home: Path, data: bytes, line: int) -> None:
    (home / "node.toml").write_bytes(data)
    with pytest.raises(ConfigError) as error:
        load_config(home)
    assert (error.value.rule, error.value.facts) == ("O1.toml", {"line": line})


def test_the_passphrase_comes_from_the_environment_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLIANCE_PASSPHRASE", "from outside")
    assert load_config(home).passphrase == b"from outside"
    assert "outside" not in repr(load_config(home))


def _mode(name: str, mode: int) -> Callable[[Path, World], None]:
    return lambda home, _world: (home / name).chmod(mode)


def _missing(name: str) -> Callable[[Path, World], None]:
    return lambda home, _world: (home / name).unlink()


def _other_key(home: Path, world: World) -> None:
    key = home / "keys" / "log.pem"
    key.write_bytes(encrypt_private_key(world.keys["h1"].system, PASSPHRASE))


def _stranger(home: Path, world: World) -> None:
    key = home / "keys" / "node.pem"
    key.write_bytes(encrypt_private_key(world.keys["h1"].system, PASSPHRASE))


def _other_passphrase(home: Path, _world: World) -> None:
    (home / "keys" / "passphrase").write_bytes(b"wrong")


SETUPS: dict[str, tuple[Callable[[Path, World], None], str]] = {
    "key readable by others": (_mode("keys/node.pem", 0o644), "O1.mode"),
    "key directory open": (_mode("keys", 0o755), "O1.mode"),
    "passphrase readable by others": (_mode("keys/passphrase", 0o640), "O1.mode"),
    "no genesis": (_missing("genesis"), "O1.file"),
    "no key": (_missing("keys/cosigner.pem"), "O1.file"),
    "key of another role": (_other_key, "O1.key"),
    "no member": (_stranger, "O1.org"),
    "wrong passphrase": (_other_passphrase, "C3"),
}


@pytest.mark.parametrize("name", SETUPS)
def test_homes_that_are_refused(home: Path, world: World, name: str) -> None:
    change, rule = SETUPS[name]
    change(home, world)
    assert rule_of(lambda: open_driver(load_config(home))) == rule


def _close(app: FastAPI) -> None:
    app.state.driver.stop()
    app.state.vault.close()


def test_a_second_node_on_one_home_is_refused(home: Path) -> None:
    first = create_app(load_config(home))
    assert rule_of(lambda: create_app(load_config(home))) == "O2.locked"
    _close(first)
    _close(create_app(load_config(home)))
