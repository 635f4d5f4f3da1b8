"""Attachments: piece by piece into the vault and out of it, whole or not at all, and never in clear
on the disk.
"""

import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.encoding import b64url
from ledger.errors import (
    BusyError,
    ConflictError,
    ErasedError,
    MalformedError,
    NotFoundError,
    ProofError,
)
from ledger.records.payloads import (
    CHUNK_BYTES,
    Attachment,
    Deposit,
    attachment_of,
    commit_of,
    decode_deposit,
    encode_deposit,
    make_deposit,
)
from node.attachments import Attachments
from node.chunks import CHUNKS_FILE
from node.client import DEPOSIT_TYPE
from node.vault import VAULT_FILE, Vault, open_vault
from node.vaultcopies import restore_vault
from tests.node.test_access import Stage, rule, run
from tests.node.test_vault import config, on_disk

DATA = b"".join(f"row {number}, Zhao Liu\n".encode() for number in range(1 << 17))
COUNT = 3


def pieces(data: bytes = DATA) -> list[bytes]:
    return [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]


def described(data: bytes = DATA, **changes: Any) -> Deposit:
    """A payload with an attachment."""
    value = {"bytes": len(data), "sha256": b64url(sha256(data).digest()), **changes}
    return make_deposit(
        {"attachment": value}, secrets.token_bytes(32), "T2", "file/1", ("h1",), "person:p1"
    )


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = open_vault(config(tmp_path))
    yield vault
    vault.close()


def filled(vault: Vault) -> str:
    """A vault with the whole attachment; its commitment."""
    commit = vault.put(described(), "kid", 1)
    attachments = Attachments(vault)
    for number, piece in enumerate(pieces()):
        assert attachments.take(commit, number, piece) == (number + 1, COUNT)
    return commit


def test_an_attachment_comes_back_whole_and_never_lies_in_clear(
    vault: Vault, tmp_path: Path
) -> None:
    assert len(pieces()) == COUNT
    commit = filled(vault)
    attachments = Attachments(vault)
    assert b"".join(attachments.give(commit, number) for number in range(COUNT)) == DATA
    with pytest.raises(NotFoundError, match="O6"):
        attachments.give(commit, COUNT)
    assert vault.counts()["attachments"] == 1
    assert b"Zhao Liu" not in on_disk(tmp_path)
    assert (tmp_path / CHUNKS_FILE).stat().st_mode & 0o077 == 0


def test_who_was_interrupted_goes_on_and_only_the_next_piece_is_taken(vault: Vault) -> None:
    commit = vault.put(described(), "kid", 1)
    first, second, last = pieces()
    one = Attachments(vault)
    assert one.take(commit, 0, first) == (1, COUNT)
    for number, data in ((2, last), (1, second[:-1]), (1, b""), (7, first), (0, b"x")):
        with pytest.raises(ConflictError, match="T14"):
            one.take(commit, number, data)
    with pytest.raises(BusyError, match="T13"):
        one.give(commit, 0)
    # Another process: it makes the hash again from what is here.
    other = Attachments(vault)
    assert other.have(commit) == (1, COUNT)
    assert other.take(commit, 0, first) == (1, COUNT)
    other.take(commit, 1, second)
    assert vault.unfinished() == [commit]
    other.take(commit, 2, last)
    assert vault.unfinished() == []
    plain = vault.put(make_deposit({"x": 1}, bytes(32), "T1", "text/1", ("h1",)), "kid", 1)
    with pytest.raises(NotFoundError, match="T15"):
        other.have(plain)


def test_other_bytes_than_the_payload_names_are_dropped(vault: Vault) -> None:
    commit = vault.put(described(), "kid", 1)
    attachments = Attachments(vault)
    changed = bytearray(DATA)
    changed[5] ^= 1
    *firsts, last = enumerate(pieces(bytes(changed)))
    for number, piece in firsts:
        attachments.take(commit, number, piece)
    with pytest.raises(ProofError, match="T12"):
        attachments.take(commit, *last)
    assert attachments.have(commit) == (0, COUNT)
    for number, piece in enumerate(pieces()):
        attachments.take(commit, number, piece)
    assert attachments.give(commit, 0) == pieces()[0]


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE chunk SET body = CAST(substr(body, 1, 99) || x'00' || substr(body, 101) AS BLOB)"
        " WHERE number = 1",
        "UPDATE chunk SET number = 9 WHERE number = 0; UPDATE chunk SET number = 0 WHERE number = 1"
        "; UPDATE chunk SET number = 1 WHERE number = 9",
        "UPDATE chunk SET body = (SELECT body FROM chunk WHERE number = 0) WHERE number = 1",
        "DELETE FROM chunk WHERE number = 1",
    ],
)
def test_changed_moved_or_missing_pieces_are_found(vault: Vault, script: str) -> None:
    commit = filled(vault)
    vault.chunks._connection.executescript(script)
    with pytest.raises(ProofError, match=r"T6\.data"):
        Attachments(vault).give(commit, 1)


def test_an_end_is_no_middle(vault: Vault) -> None:
    """Whoever shortens an attachment, and the count with it, is found out."""
    commit = filled(vault)
    vault.chunks._connection.execute("DELETE FROM chunk WHERE number = 2")
    vault._connection.execute("UPDATE attachment SET chunks = 2")
    with pytest.raises(ProofError, match=r"T6\.data"):
        Attachments(vault).give(commit, 1)


def test_what_is_erased_takes_its_attachment_along(vault: Vault, tmp_path: Path) -> None:
    commit = filled(vault)
    body = vault.chunks.get(commit, 1) or b""
    # SQLite cuts a piece into pages: short runs of it are looked for.
    runs = [body[at : at + 40] for at in range(0, len(body) - 40, 10_007)]
    copy = tmp_path / "copy"
    vault.back_up(copy)
    assert sum(run in on_disk(copy) for run in runs) > len(runs) // 2
    vault.erase([commit], "REQUEST", 2)
    with pytest.raises(ErasedError, match="T4"):
        Attachments(vault).give(commit, 0)
    vault.back_up(copy)
    found = on_disk(tmp_path)
    # Not even the ciphertext.
    assert [run for run in runs if run in found] == []


def test_pieces_without_a_key_are_destroyed_at_the_next_start(vault: Vault, tmp_path: Path) -> None:
    """As after a crash between the key and the pieces."""
    commit = filled(vault)
    vault._connection.execute("DELETE FROM attachment")
    vault.close()
    again = open_vault(config(tmp_path))
    assert again.chunks.count(commit) == 0
    again.close()


def test_a_copy_brings_attachments_back_and_says_what_it_lacks(
    vault: Vault, tmp_path: Path
) -> None:
    commit, copy = filled(vault), tmp_path / "copy"
    vault.back_up(copy)
    second = filled(vault)
    vault.back_up(copy)
    vault.close()
    for name in (VAULT_FILE, CHUNKS_FILE):
        (tmp_path / name).unlink()
    restore_vault(config(tmp_path), copy)
    again = open_vault(config(tmp_path))
    assert Attachments(again).give(commit, 2) == Attachments(again).give(second, 2) == pieces()[2]
    again.close()
    (tmp_path / VAULT_FILE).unlink()
    (copy / CHUNKS_FILE).unlink()
    (tmp_path / CHUNKS_FILE).unlink()
    restore_vault(config(tmp_path), copy)
    again = open_vault(config(tmp_path))
    assert sorted(again.unfinished()) == sorted([commit, second])
    again.close()


@pytest.mark.parametrize(
    "changes", [{"bytes": 0}, {"bytes": "9"}, {"sha256": "x"}, {"more": 1}, {"bytes": 1 << 35}]
)
def test_a_payload_describes_its_attachment_strictly(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        described(**changes)
    right = described()
    assert commit_of(decode_deposit(encode_deposit(right))) == commit_of(right)


def test_pieces_have_their_lengths() -> None:
    described_one = Attachment(bytes=2 * CHUNK_BYTES + 5, sha256="")
    assert [described_one.length(number) for number in range(4)] == [CHUNK_BYTES] * 2 + [5, 0]
    assert described_one.chunks == 3
    assert attachment_of(b'{"text":"x"}') is None


def test_attachments_over_http(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        given = described()
        commit = commit_of(given)
        kind = {"content-type": DEPOSIT_TYPE}
        route = "POST /api/v1/payloads"
        await stage.ask("officer", route, content=encode_deposit(given), headers=kind)

        async def ask(who: str, way: str, **options: Any) -> Any:  # noqa: ANN401
            return await stage.ask(who, way.format(f"/api/v1/attachments/{commit}"), **options)

        first, *others = pieces()
        assert rule(await ask("committee", "PUT {}/0", content=first)) == (403, "T16")
        assert rule(await ask("officer", "PUT {}/1", content=first)) == (409, "T14")
        assert rule(await ask("officer", "PUT {}/0", content=first + b"x")) == (413, "O5.large")
        assert rule(await ask("officer", "PUT {}/-1", content=first)) == (400, "Q2")
        assert (await ask("officer", "PUT {}/0", content=first)).json() == {"count": 3, "have": 1}
        answer = await ask("committee", "GET {}/0")
        assert rule(answer) == (503, "T13")
        for number, piece in enumerate(others, 1):
            assert (await ask("officer", f"PUT {{}}/{number}", content=piece)).status_code == 200
        assert rule(await ask("auditor", "GET {}")) == (403, "T5")
        assert rule(await ask("auditor", "GET {}/0")) == (403, "T5")
        state = (await ask("committee", "GET {}")).json()
        assert (state["have"], state["complete"], state["payload"]["commit"]) == (3, True, commit)
        parts = [(await ask("committee", f"GET {{}}/{n}?purpose=care")).content for n in range(3)]
        assert b"".join(parts) == DATA
        # All its pieces are one reading, and for another purpose they are another one.
        log = f"GET /api/v1/subjects/dataset:payload/{commit}"
        assert len((await stage.ask("auditor", log)).json()["leaves"]) == 1
        await ask("committee", "GET {}/0?purpose=audit")
        assert len((await stage.ask("auditor", log)).json()["leaves"]) == 2
        assert rule(await ask("committee", "GET {}/3")) == (404, "O6")

    run(tmp_path, test)
