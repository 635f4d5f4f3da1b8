"""Signatures checked ahead by other processes: they find what the audit asks for, and nothing that
is not so; where they fail, the audit does it all itself.
"""

import gc
import io
import os
from pathlib import Path

import msgspec
import pytest

from cli import ahead as module
from cli.ahead import AHEAD, KEYS_TOLD, Ahead, Job, check_signatures, checked, work
from cli.copies import Copy
from cli.offline import Audit, Held, Report
from ledger.crypto import EDDSA, verify
from ledger.encoding import b64url, decode_statement, encode_bundle
from ledger.records.governance import KeyBody
from tests.ledger.ledgers import LATER, key_of
from tests.support.copies import Chain, write_copy
from tests.support.world import GENESIS_MS, make_world

BUNDLE = "tile/entries/000"
PROOFS = 2
"""The keys registered sign their own description (K8): that is no signature of an entry."""


def chain_of_new_keys() -> Chain:
    """Seven bundles; the second and third third are signed with keys registered just before."""
    chain = Chain(make_world())
    world, first = chain.world, 1
    for at, role in enumerate(("log", "cosigner", None)):
        raws = world.accesses(600, first_seq=first)
        if role is not None:
            own = world.keys["h1"]
            fresh = getattr(own, role)
            key = key_of(world, "h1", role, "system")
            body = KeyBody(action="register", key=key, kid=b64url(fresh.kid))
            raws.append(world.record("key", body, not_after=LATER))
            world.keys = {"h1": own._replace(system=fresh)}
        chain.add(raws, GENESIS_MS + 60_000 * (at + 1))
        first += 600
    return chain


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chain = chain_of_new_keys()
    path = tmp_path_factory.mktemp("copy")
    return write_copy(path, chain.world, chain.entries(), chain.certificates())


@pytest.fixture
def own_checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The signatures that were checked in the audit's own process, not those of block 0."""
    seen: list[bytes] = []

    def counted(alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        seen.append(signature)
        return verify(alg, key, signature, message)

    monkeypatch.setattr(module, "verify_signature", counted)
    return seen


def audit(folder: Path, workers: int) -> Report:
    return Audit(folder, Held(), workers).run()


def test_workers_leave_no_signature_to_the_audit(folder: Path, own_checks: list[bytes]) -> None:
    """Not even those under keys that the chain registered a moment before."""
    report = audit(folder, 2)
    assert report.is_valid
    assert len(own_checks) == PROOFS
    assert audit(folder, 0) == report
    # Block 0 is checked by rules of its own.
    assert len(own_checks) == PROOFS + report.size - 3 + PROOFS


def test_a_forged_signature_is_found_with_workers(tmp_path: Path, own_checks: list[bytes]) -> None:
    chain = chain_of_new_keys()
    block = chain.blocks[3]
    block[5] = block[5][:-1] + bytes([block[5][-1] ^ 1])
    copy = write_copy(tmp_path, chain.world, chain.entries(), chain.certificates())
    failed = audit(copy, 2).failed
    assert failed is not None
    assert failed.error is not None
    assert (failed.number, failed.error.rule, failed.where) == (4, "L9", "block 3")
    assert len(own_checks) == PROOFS + 1  # no worker called it right, so it was checked again


def test_a_worker_that_ends_costs_time_only(folder: Path, own_checks: list[bytes]) -> None:
    auditor = Audit(folder, Held(), 2)
    started: list[Ahead] = []

    def kill_one(_done: int) -> None:
        if auditor._ahead is not None and not started:
            started.append(auditor._ahead)
            auditor._ahead._workers[0].process.kill()
            auditor._ahead._workers[0].process.wait()

    assert auditor.run(kill_one).is_valid
    assert started
    assert own_checks


def test_without_processes_the_audit_works(
    folder: Path, own_checks: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "executable", str(folder / "no-such-program"))
    assert audit(folder, 2).is_valid
    assert own_checks


def test_a_copy_brings_no_code_along(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An auditor may stand inside the folder that somebody sent."""
    trace = tmp_path / "trace"
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__init__.py").write_text(f"open({str(trace)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    ahead = Ahead(folder, module.FEW, 1)
    key = make_world().keys["h1"].system
    ahead.offer(BUNDLE, [(key.kid, EDDSA, key.public_key)])
    ahead.take()
    ahead.close()
    assert len(ahead._right) == 253
    assert not trace.exists()


def test_few_bundles_start_no_process(tmp_path: Path, own_checks: list[bytes]) -> None:
    chain = Chain(make_world())
    chain.add(chain.world.accesses(3))
    copy = write_copy(tmp_path, chain.world, chain.entries(), chain.certificates())
    assert audit(copy, 2).is_valid
    assert len(own_checks) == 4  # three accesses and the seal


def test_the_collector_is_as_it_was(folder: Path) -> None:
    for was_on in (False, True):
        (gc.enable if was_on else gc.disable)()
        audit(folder, 0)
        assert gc.isenabled() is was_on


# --- a worker by itself ---


def test_a_worker_answers_each_job_in_order(folder: Path) -> None:
    world = make_world()
    key = world.keys["h1"].system
    jobs = (
        Job(BUNDLE, ()),
        Job("tile/entries/999", ((key.kid, EDDSA, key.public_key),)),
        Job(BUNDLE, ()),
    )
    answers = io.BytesIO()
    lines = b"".join(msgspec.json.encode(job) + b"\n" for job in jobs)
    work(folder, io.BytesIO(lines), answers)
    data, counts = answers.getvalue(), []
    while data:
        counts.append(int.from_bytes(data[:4], "big"))
        data = data[4 + 32 * counts[-1] :]
    # No key known, no such file, the accesses of the first bundle under the key told before.
    assert counts == [0, 0, 253]


def test_a_mark_stands_for_one_signature_alone(tmp_path: Path) -> None:
    """Another key, message or signature has another mark; what is malformed has none."""
    world = make_world()
    key, raw = world.keys["h1"].system, world.access(seq=1)
    (tmp_path / "bundle").write_bytes(encode_bundle([raw, raw[:-1], b""]))
    ring = {key.kid: (EDDSA, key.public_key)}
    marks = check_signatures(Copy(tmp_path), "bundle", ring)
    statement = decode_statement(raw)
    parts = (EDDSA, key.public_key, statement.signature, statement.to_be_signed)
    assert marks == [checked(*parts)]
    for at, other in enumerate((-7, bytes(32), bytes(64), b"other")):
        assert checked(*parts[:at], other, *parts[at + 1 :]) != marks[0]  # type: ignore[arg-type]
    (tmp_path / "bundle").write_bytes(b"\xff\xff")
    assert check_signatures(Copy(tmp_path), "bundle", ring) == []


def test_jobs_never_fill_a_pipe() -> None:
    """With every job of a worker waiting, its input fits: the audit never waits for it to read."""
    key = (bytes(16), EDDSA, bytes(33))
    job = msgspec.json.encode(Job("tile/entries/x001/x234/067.p/255", (key,) * KEYS_TOLD))
    assert AHEAD * (len(job) + 1) < 65_536
    assert AHEAD * (4 + 256 * 32) < 65_536
    assert os.name == "posix"
