"""Signatures of an offline copy, checked by other processes before the audit asks for them.

A worker is a bare interpreter that reads jobs from its input, one JSON line each, and writes one
answer for each in their order. It imports what checks signatures and nothing else: a process of
`multiprocessing` would import the program that started it first, which costs more than the
signatures of a small copy.
"""

import subprocess
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec

from cli.copies import Copy
from ledger.crypto import verify as verify_signature
from ledger.encoding import decode_bundle, decode_statement
from ledger.errors import AllianceError, MalformedError

AHEAD: Final = 6
"""Bundles that each worker may be ahead of the block being checked: more than a large block has."""
FEW: Final = 4
"""With fewer bundles, starting processes costs more than it saves."""
KEYS_TOLD: Final = 64
"""Keys in one job. With all its jobs waiting a worker's input still fits into a pipe, so that
neither side waits for the other to read; a key told late costs a check here.
"""

Key = tuple[bytes, int, bytes]
"""Key id, algorithm, public key."""
KeyRing = dict[bytes, tuple[int, bytes]]
_MARK: Final = 32


class Job(msgspec.Struct, frozen=True):
    """One bundle to check, and keys that were not told before."""

    name: str
    keys: tuple[Key, ...]


# --- in a worker ---


def check_signatures(copy: Copy, name: str, keys: KeyRing) -> list[bytes]:
    """Which entries of a bundle verify under the key that their id names. What is malformed is
    left to the audit itself.
    """
    right: list[bytes] = []
    try:
        entries = decode_bundle(copy.read(name))
    except AllianceError:
        return right
    for raw in entries:
        try:
            statement = decode_statement(raw)
        except MalformedError:
            continue
        alg, key = keys.get(statement.kid, (0, b""))
        message = statement.to_be_signed
        if key and verify_signature(alg, key, statement.signature, message):
            right.append(checked(alg, key, statement.signature, message))
    return right


def checked(alg: int, key: bytes, signature: bytes, message: bytes) -> bytes:
    """What stands for one signature that was found right: all four, hashed."""
    return sha256(bytes([alg & 0xFF]) + key + signature + message).digest()


def work(folder: Path, jobs: IO[bytes], answers: IO[bytes]) -> None:
    """Answer every job until there are no more."""
    copy, keys = Copy(folder), KeyRing()
    for line in jobs:
        job = msgspec.json.decode(line, type=Job)
        keys.update({kid: (alg, key) for kid, alg, key in job.keys})
        marks = check_signatures(copy, job.name, keys)
        answers.write(len(marks).to_bytes(4, "big") + b"".join(marks))
        answers.flush()


# --- in the audit ---


class _Worker(NamedTuple):
    process: "subprocess.Popen[bytes]"
    jobs: IO[bytes]
    answers: IO[bytes]

    def ask(self, job: Job) -> None:
        """Hand a job over. A worker that has ended answers with nothing."""
        try:
            self.jobs.write(msgspec.json.encode(job) + b"\n")
            self.jobs.flush()
        except OSError:
            return

    def answer(self) -> list[bytes]:
        """What it found in the oldest job that it was asked; nothing when it has ended."""
        count = int.from_bytes(self.answers.read(4), "big")
        data = self.answers.read(_MARK * count)
        return [data[at : at + _MARK] for at in range(0, len(data) // _MARK * _MARK, _MARK)]


def _start(folder: Path) -> _Worker | None:
    """A worker, or None where no process can be started: then the audit checks all by itself."""
    # -P: a folder that somebody sent must not be where modules are looked for.
    words = [sys.executable, "-P", "-m", "cli.ahead", str(folder)]
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(  # noqa: S603  # our own program, words of our own
            words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    if process.stdin is None or process.stdout is None:
        return None
    return _Worker(process, process.stdin, process.stdout)


class Ahead:
    """Signatures found right before they are asked for; what workers lack is checked here."""

    def __init__(self, folder: Path, bundles: int, workers: int) -> None:
        count = workers if bundles >= FEW else 0
        started = (_start(folder) for _ in range(count))
        self._workers = [worker for worker in started if worker is not None]
        self._right: set[bytes] = set()
        self._names: list[str] = []
        self._keys: list[Key] = []
        self._told = [0] * len(self._workers)
        self._sent = self._taken = 0

    def offer(self, name: str, keys: Iterable[Key]) -> None:
        """The next bundle, and the keys that its entries register."""
        if self._workers:
            self._names.append(name)
            self._keys += keys
            self._send()

    def _send(self) -> None:
        most = min(self._taken + AHEAD * len(self._workers), len(self._names))
        while self._sent < most:
            at = self._sent % len(self._workers)
            keys = tuple(self._keys[self._told[at] : self._told[at] + KEYS_TOLD])
            self._workers[at].ask(Job(self._names[self._sent], keys))
            self._told[at] += len(keys)
            self._sent += 1

    def take(self) -> None:
        """Take in what is right in the next bundle; they are taken in the order offered."""
        if self._taken < self._sent:
            self._right.update(self._workers[self._taken % len(self._workers)].answer())
            self._taken += 1
            self._send()

    def verify(self, alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        """`ledger.crypto.verify`, answered from what a worker found where it did."""
        if self._right:
            mark = checked(alg, key, signature, message)
            if mark in self._right:
                self._right.discard(mark)
                return True
        return verify_signature(alg, key, signature, message)

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.wait()
            worker.answers.close()
            # What it did not read any more cannot be written.
            try:
                worker.jobs.close()
            except OSError:
                continue


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
