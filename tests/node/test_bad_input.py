"""What a node does with everything that is wrong, in one table: the rule, the HTTP status, the exit
code of the command, a sentence in each language; and that the chain goes on with all that it
answered.
"""

import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
import httpx
import msgspec
import pytest
from cbor2 import CBORTag

from cli.screen import EXIT_CODES, exit_code, explain, set_json, set_language
from ledger.encoding import b64url, encode_time, signature_input
from ledger.errors import AllianceError
from ledger.records import decode_entry
from ledger.records.catalogue import DatasetBody
from ledger.records.envelope import ENCODE
from ledger.records.governance import KeyBody
from node.api import BUNDLE_TYPE
from node.client import NodeClient, Signing, error_of
from node.driver import Driver
from node.main import open_driver
from node.problems import STATUS, problem_of
from tests.cli.conftest import call, serving
from tests.ledger.ledgers import key_of
from tests.node.test_store import DAMAGE
from tests.support.node import make_config, node_signer, signed_headers
from tests.support.process import make_served_home
from tests.support.world import GENESIS_MS, World, make_world, sign_payload, uuid7

ONE = {"content-type": "application/cose"}
NOT_AFTER = "2099-12-31T00:00:00.000Z"
HOUR_MS = 3_600_000
BODY_MS = 500
"""So long the node waits for the rest of a request."""


class Stage(NamedTuple):
    """A node that has answered some entries already, and what it takes to annoy it."""

    world: World
    home: Path
    url: str
    driver: Driver
    answered: dict[str, int]

    @property
    def author(self) -> Signing:
        """Asks in the name of the member."""
        return Signing(node_signer(self.home))

    def health(self) -> dict[str, Any]:
        """What the node says of itself to its member."""
        found: dict[str, Any] = httpx.get(f"{self.url}/health", auth=self.author).json()
        return found

    def post(self, raw: bytes) -> httpx.Response:
        """One entry; what is answered must be there for ever."""
        response = httpx.post(
            f"{self.url}/api/v1/entries", content=raw, headers=ONE, auth=self.author
        )
        if response.status_code in (200, 201):
            self.answered[response.json()["leaf"]] = response.json()["index"]
        return response

    def refused(self, raw: bytes) -> AllianceError:
        """The error that the command sees, whose problem document is in order."""
        response = self.post(raw)
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        error = error_of(problem)
        assert response.status_code == problem["status"] == STATUS[error.code]
        with (
            NodeClient(self.url, node_signer(self.home)) as client,
            pytest.raises(AllianceError) as same,
        ):
            client.submit(raw)
        assert (same.value.rule, same.value.code) == (error.rule, error.code)
        return error


# --- everything that is wrong -----------------------------------------------------------------


def wrong_signature(stage: Stage) -> AllianceError:
    raw = stage.world.access(seq=50)
    return stage.refused(raw[:-1] + bytes([raw[-1] ^ 1]))


def unknown_key(stage: Stage) -> AllianceError:
    stranger = make_world(("h9",), at_ms=GENESIS_MS + 1)
    return stage.refused(stranger.access(seq=1, chain=stage.world.genesis.tip.chain))


def _short_key(stage: Stage, role: str, capacity: str, by: str) -> None:
    """Register a key whose time was over before this node began."""
    key = key_of(stage.world, "h1", role, capacity, valid_until=encode_time(GENESIS_MS + HOUR_MS))
    kid = b64url(getattr(stage.world.keys["h1"], role).kid)
    body = KeyBody(action="register", key=key, kid=kid)
    assert stage.post(stage.world.record("key", body, by=by, not_after=NOT_AFTER)).is_success


def expired_key_for_rights(stage: Stage) -> AllianceError:
    _short_key(stage, "cosigner", "so", "committee")
    body = DatasetBody(custodian="h1", openness="conditional", series_id="GTEx")
    return stage.refused(stage.world.record("dataset", body, by="cosigner", not_after=NOT_AFTER))


def revoked_key(stage: Stage) -> AllianceError:
    kid = b64url(stage.world.keys["h1"].cosigner.kid)
    _short_key(stage, "cosigner", "system", "officer")
    body = KeyBody(action="revoke", kid=kid)
    stage.post(stage.world.record("key", body, by="officer", not_after=NOT_AFTER))
    return stage.refused(_access_by(stage, "cosigner"))


def _access_by(stage: Stage, role: str) -> bytes:
    body = decode_entry(stage.world.access(seq=52)).record.body
    return stage.world.record("access", body, by=role)


def wrong_capacity(stage: Stage) -> AllianceError:
    return stage.refused(_access_by(stage, "officer"))


def _payload(stage: Stage, change: Callable[[bytes], bytes]) -> bytes:
    """A signed entry whose payload is changed before it is signed."""
    record = decode_entry(stage.world.access(seq=53)).record
    system = stage.world.keys["h1"].system
    return sign_payload(system, "h1", "dataset:GTEx", change(ENCODE(record)))


def unknown_field(stage: Stage) -> AllianceError:
    return stage.refused(
        _payload(stage, lambda raw: raw.replace(b'"body":{', b'"aside":1,"body":{'))
    )


def payload_not_canonical(stage: Stage) -> AllianceError:
    return stage.refused(_payload(stage, lambda raw: raw.replace(b'"at":', b'"at": ')))


def envelope_not_canonical(stage: Stage) -> AllianceError:
    """The tag 18 in two bytes where one does."""
    raw = stage.world.access(seq=54)
    assert raw[0] == 0xD2
    return stage.refused(b"\xd8\x12" + raw[1:])


def cut_entry(stage: Stage) -> AllianceError:
    return stage.refused(stage.world.access(seq=55)[:-1])


def duplicate_id(stage: Stage) -> AllianceError:
    name = uuid7(GENESIS_MS, 99)
    assert stage.post(stage.world.access(seq=56, id=name)).status_code == 201
    return stage.refused(stage.world.access(seq=57, id=name))


def oversized_entry(stage: Stage) -> AllianceError:
    """Well-formed and signed; our own encoder would not make it."""
    statement = decode_entry(stage.world.access(seq=59)).statement
    payload = statement.payload.replace(b"VIEW", b"VIEW" + b"x" * 65_536)
    system = stage.world.keys["h1"].system
    signature = system.sign(signature_input(statement.protected, payload))
    return stage.refused(cbor2.dumps(CBORTag(18, [statement.protected, {}, payload, signature])))


def oversized_request(stage: Stage) -> AllianceError:
    limit = stage.driver.config.max_request_bytes
    head = f"Content-Length: {limit + 1}\r\n"
    return _by_hand(stage, head, BUNDLE_TYPE, b"x", b"x")


def truncated_request(stage: Stage) -> AllianceError:
    """The sender says how long it is, sends less, and listens."""
    raw = stage.world.access(seq=58)
    head = f"Content-Length: {len(raw)}\r\n"
    return _by_hand(stage, head, "application/cose", raw, raw[:100])


def _by_hand(stage: Stage, head: str, kind: str, body: bytes, sent: bytes) -> AllianceError:
    """A request in the words of the wire, signed with its body; the problem that comes back."""
    address = ("127.0.0.1", int(stage.url.rpartition(":")[2]))
    given = [(b"content-type", kind.encode())]
    fields = signed_headers(stage.home, "POST", "/api/v1/entries", body, given)
    lines = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in fields)
    top = f"POST /api/v1/entries HTTP/1.1\r\nConnection: close\r\n{lines}"
    with socket.create_connection(address, timeout=30) as wire:
        wire.sendall(f"{top}{head}\r\n".encode() + sent)
        said = b"".join(iter(lambda: wire.recv(65_536), b""))
    answer, _, text = said.partition(b"\r\n\r\n")
    error = error_of(msgspec.json.decode(text))
    assert int(answer.split()[1]) == STATUS[error.code]
    return error


def full_disk(stage: Stage) -> AllianceError:
    """The database may not grow; in the end there is no place for one more entry."""

    def pages(limit: str) -> None:
        with stage.driver.store.transaction():
            run = stage.driver.store._connection.exec_driver_sql
            size = run("PRAGMA page_count").scalar()
            run(f"PRAGMA max_page_count = {limit or size}")

    pages("")
    for seq in range(1_000, 2_000):
        raw = stage.world.access(seq=seq)
        if not stage.post(raw).is_success:
            break
    error = stage.refused(raw)
    health = stage.health()
    assert health["status"] == "storage-failing"
    pages("1000000")
    assert stage.post(raw).status_code == 201
    return error


def clock_behind_the_record(stage: Stage) -> AllianceError:
    """The wall jumps back by a year; what claims to come from tomorrow is refused all the same."""
    clock = stage.driver.clock
    wall, before = clock._wall, stage.driver.view.tip.time_ms
    clock._wall = lambda: wall() - 365 * 24 * HOUR_MS
    assert stage.post(stage.world.access(seq=60)).status_code == 201
    assert stage.driver.view.tip.time_ms > before
    assert stage.health()["clock_ahead_ms"] > 364 * 24 * HOUR_MS
    tomorrow = clock.now_ms() + 24 * HOUR_MS
    return stage.refused(stage.world.access(seq=61, at=encode_time(tomorrow)))


def second_writer(stage: Stage) -> AllianceError:
    """Another process, as it were, on the same database while this one works."""
    said = call("node", "run", "--home", stage.home, "--lang", "en")
    assert said.code == 18
    assert "O2.locked" in said.err
    with pytest.raises(AllianceError) as error:
        open_driver(make_config(stage.home))
    return error.value


class Wrong(NamedTuple):
    """One row of the table: what must come of it."""

    provoke: Callable[[Stage], AllianceError]
    rule: str
    status: int
    exit: int


TABLE = {
    "wrong signature": Wrong(wrong_signature, "S3.signature", 403, 11),
    "unknown key": Wrong(unknown_key, "S3.unknown", 403, 11),
    "expired key, rights": Wrong(expired_key_for_rights, "S3.expired", 403, 11),
    "revoked key": Wrong(revoked_key, "S3.revoked", 403, 11),
    "wrong capacity": Wrong(wrong_capacity, "S3.capacity", 422, 12),
    "unknown field": Wrong(unknown_field, "S1", 400, 10),
    "payload not canonical": Wrong(payload_not_canonical, "S2", 400, 10),
    "envelope not canonical": Wrong(envelope_not_canonical, "B1.tag", 400, 10),
    "entry cut short": Wrong(cut_entry, "B1.signature", 400, 10),
    "duplicate id": Wrong(duplicate_id, "S6", 409, 13),
    "oversized entry": Wrong(oversized_entry, "S10", 413, 10),
    "oversized request": Wrong(oversized_request, "O5.large", 413, 10),
    "truncated request": Wrong(truncated_request, "O5.truncated", 400, 10),
    "full disk": Wrong(full_disk, "O3.full", 507, 17),
    "clock that jumps back": Wrong(clock_behind_the_record, "S5", 422, 12),
    "two writers": Wrong(second_writer, "O2.locked", 500, 18),
}


@contextmanager
def _stage(world: World, home: Path, answered: dict[str, int]) -> Iterator[Stage]:
    with serving(home) as app:
        url = f"http://127.0.0.1:{app.state.driver.config.port}"
        yield Stage(world, home, url, app.state.driver, answered)


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def home(tmp_path: Path, world: World) -> Path:
    made = make_served_home(world, tmp_path / "home")
    with (made / "node.toml").open("a") as settings:
        settings.write(f"body_ms = {BODY_MS}\n")
    return made


def check_goes_on(stage: Stage, seq: int) -> None:
    """All that was answered is there, and one entry more is taken."""
    for leaf, index in stage.answered.items():
        found = httpx.get(f"{stage.url}/api/v1/entries/{index}", auth=stage.author).json()
        assert found["leaf"] == leaf
    assert stage.post(stage.world.access(seq=seq)).status_code == 201
    assert stage.health()["status"] == "ok"


def check_sentences(error: AllianceError, capsys: pytest.CaptureFixture[str]) -> None:
    """What the command prints says what was wrong and what to do, in the language asked for."""
    # A command that ran before in this process may have asked for JSON.
    set_json(False)
    capsys.readouterr()
    for language, chinese in (("en", False), ("zh", True)):
        set_language(language)
        explain(error)
        said = capsys.readouterr().err
        assert error.sentence(language) in said
        assert error.next_step(language) in said
        assert error.rule in said
        assert "{" not in said
        assert bool(re.search(r"[\u4e00-\u9fff]", said)) is chinese
    set_language(None)


@pytest.mark.parametrize("name", TABLE)
def test_what_is_wrong_is_refused_and_the_chain_goes_on(
    world: World, home: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = TABLE[name]
    answered: dict[str, int] = {}
    with _stage(world, home, answered) as stage:
        for raw in world.accesses(5):
            assert stage.post(raw).status_code == 201
        error = row.provoke(stage)
        assert error.rule == row.rule
        assert problem_of(error).status == STATUS[error.code] == row.status
        assert exit_code(error) == EXIT_CODES[error.code] == row.exit
        check_sentences(error, capsys)
        check_goes_on(stage, 900)
    # The next start re-derives every block.
    with _stage(world, home, answered) as stage:
        check_goes_on(stage, 901)


def test_evidence_under_an_expired_key_is_kept_with_a_finding(world: World, home: Path) -> None:
    with _stage(world, home, {}) as stage:
        _short_key(stage, "cosigner", "system", "officer")
        answer = stage.post(_access_by(stage, "cosigner"))
        assert answer.status_code == 201
        assert "KEY_EXPIRED" in answer.json()["findings"]
        check_goes_on(stage, 900)


# --- a database that was damaged --------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["body", "last block missing", "index of leaves", "layout", "truncated file", "garbage"]
)
def test_a_damaged_database_is_not_used_and_a_restored_one_goes_on(
    world: World, home: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, rule = DAMAGE[name]
    path, answered = home / "ledger.db", dict[str, int]()
    with _stage(world, home, answered) as stage:
        for raw in world.accesses(5):
            stage.post(raw)
    sound = path.read_bytes()
    damage(path)
    damaged = path.read_bytes()
    for _twice in range(2):
        with pytest.raises(AllianceError) as caught:
            open_driver(make_config(home))
        error = caught.value
        assert error.rule == rule
        assert (problem_of(error).status, exit_code(error)) == (507, 17)
        said = call("node", "run", "--home", home, "--lang", "zh")
        assert said.code == 17
        assert error.rule in said.err
    check_sentences(error, capsys)
    assert path.read_bytes() == damaged
    path.write_bytes(sound)
    with _stage(world, home, answered) as stage:
        check_goes_on(stage, 900)


# --- the table itself -------------------------------------------------------------------------


def test_every_kind_of_error_has_a_status_and_an_exit_code() -> None:
    def kinds(kind: type[AllianceError]) -> Iterator[type[AllianceError]]:
        yield kind
        for other in kind.__subclasses__():
            yield from kinds(other)

    codes = {kind.code for kind in kinds(AllianceError) if kind.__module__ in sys.modules}
    ours = codes - {"error", "internal"}
    assert ours == set(EXIT_CODES)
    # The node itself is never unreachable to itself, and nobody types its requests.
    assert ours - {"unreachable", "usage"} == set(STATUS)
