"""What this home has signed and no node has answered yet: work goes on while the node is down, and
are sent later, with their true times.

    outbox/<system>-<number>.open    a use that began; its owner holds a lock on the file
    outbox/x-<id>.open               a run that began, likewise
    outbox/<system>-<number>.entry   a signed entry that waits to be recorded
    outbox/x-<id>.entry              a signed run or result that waits; after the uses, by time
    outbox/<id>.refused              a signed entry that a rule refused, for people to look at
    outbox/<system>.last             the last number of a system that this home has seen recorded
    outbox/names.json                where studies and other records stand that were asked for

A use or run is written down before it begins. Whoever dies in the middle of one leaves its `.open`
file, without the lock: the next to send signs what is known of it: of a use that its outcome is
`unknown`, of a run that it `started`. A number is given out once.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple, TypeVar

import msgspec
import typer

from cli.home import read_file, write_over
from cli.options import Place, at_place, signing
from cli.screen import language, progress, say, show
from cli.session import Recorded, Session
from cli.statements import Author, Signed, clock_ms, make_body, make_record, new_id, sign
from ledger.encoding import UNREADABLE, b64url, encode_time, unb64url
from ledger.errors import (
    AllianceError,
    BusyError,
    ConfigError,
    MalformedError,
    ProofError,
    SignatureError,
    StorageError,
)
from ledger.records import BODIES, decode_entry
from ledger.records.envelope import Record
from ledger.rules.guard import check_personal_data
from node.client import RemoteError, UnreachableError

T = TypeVar("T")
TRY_LATER: Final = (BusyError, StorageError, UnreachableError, RemoteError, SignatureError)
"""What says nothing against an entry: the node is down or full, or does not know the key yet."""
KEPT: Final = (*TRY_LATER, ProofError)
"""What leaves an entry in the outbox; a proof that does not hold is said at once."""


ABANDONED: Final[Mapping[str, Mapping[str, object]]] = {
    "access": {"outcome": "unknown"},
    "compute-run": {"state": "started"},
}
"""What is known of what began, where nobody saw its end."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What began: what will be signed when it ends, or when its owner is found dead."""

    at_ms: int
    fields: dict[str, Any]
    id: str
    kind: Literal["access", "compute-run"] = "access"

    def record(
        self, chain: str, ending: Mapping[str, object], at_ms: int | None = None
    ) -> Record[Any]:
        """The whole record, of when it began or of the given time. Raises `MalformedError` (X2)."""
        body: Any = make_body(BODIES[self.kind], {**self.fields, **ending})
        at_ms = self.at_ms if at_ms is None else at_ms
        return make_record(self.kind, body, chain=chain, at_ms=at_ms, record_id=self.id)


class Begun(NamedTuple):
    """What its owner holds: nobody else ends it while the file is locked."""

    author: Author
    place: Path
    draft: Draft
    file: IO[bytes]

    @property
    def number(self) -> int:
        """The number that its source has given to a use."""
        return int(self.draft.fields["source"]["seq"])

    def end(self, ending: Mapping[str, object], at_ms: int | None = None) -> str:
        """Sign it with what is known at its end; it waits to be sent from now on. Gives its leaf
        hash.
        """
        with self.file:
            return _end(self.author, self.place, self.draft, ending, at_ms)


class Sent(NamedTuple):
    """What became of an entry that waited: recorded, or refused by a rule."""

    id: str
    recorded: Recorded | None
    error: AllianceError | None


class Outbox:
    """The outbox of one home directory; several processes may use it at the same time."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "outbox"

    # --- from the beginning of a use to its end ---

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Alone among the commands of this home: a number is given out once."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / "lock").open("a")
        except OSError:
            raise ConfigError("X1.file", file=self.folder.name) from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def next_number(self, session: Session, system: str) -> int:
        """The next number of a system, after all that are recorded or wait; call it `alone`.

        Raises `UnreachableError` (O7) where the node is down and this home has never seen it.
        """
        try:
            source = session.source(system)
            last = self._remember(system, source.last if source else 0)
        except UnreachableError:
            if not self._memory(system).is_file():
                raise
            last = self._remember(system, 0)
        name = _file_name(system)
        waiting = [
            int(path.stem.rpartition("-")[2])
            for kind in ("open", "entry")
            for path in self.folder.glob(f"{name}-*.{kind}")
        ]
        return max([last, *waiting]) + 1

    def _memory(self, system: str) -> Path:
        return self.folder / f"{_file_name(system)}.last"

    def _remember(self, system: str, number: int) -> int:
        """The last number of a system that was ever seen recorded, this one included."""
        memory = self._memory(system)
        known = _decode(memory, int) if memory.is_file() else -1
        if number > known:
            write_over(memory, msgspec.json.encode(number))
        return max(number, known)

    def begin(
        self, session: Session, system: str, fields: Mapping[str, object], at_ms: int
    ) -> Begun:
        """Write down a use that begins now, durably; it has the next number of `system`.

        Raises `MalformedError` (X2) or `RefusedError` (S8) before anything is written.
        """
        with self.alone():
            author = self.author(session)
            number = self.next_number(session, system)
            source = {"seq": number, "system": system}
            draft = Draft(at_ms=at_ms, fields=_given(fields, source=source), id=new_id(at_ms))
            return self._open(author, f"{_file_name(system)}-{number:016d}", draft)

    def begin_run(self, session: Session, fields: Mapping[str, object], at_ms: int) -> Begun:
        """Write down a run that begins now, durably. Raises as `begin`. Where the fields name no
        place, it runs at the organisation that signs.
        """
        with self.alone():
            author = self.author(session)
            record_id = new_id(at_ms)
            given = _given(fields, started=encode_time(at_ms))
            given = {"compute_node": author.org, "run_id": f"run-{record_id}", **given}
            draft = Draft(at_ms=at_ms, fields=given, id=record_id, kind="compute-run")
            return self._open(author, f"x-{record_id}", draft)

    def _open(self, author: Author, name: str, draft: Draft) -> Begun:
        check_personal_data(draft.record("", ABANDONED[draft.kind]))
        place = self.folder / f"{name}.open"
        return Begun(author, place, draft, _write_locked(place, msgspec.json.encode(draft)))

    def put(self, session: Session, kind: str, fields: Mapping[str, object]) -> Signed:
        """Sign a record of what is true now; it waits to be sent. Raises as `begin`."""
        with self.alone():
            author = self.author(session)
            now = clock_ms()
            body: Any = make_body(BODIES[kind], fields)
            record: Record[Any] = make_record(
                kind, body, chain=author.chain, at_ms=now, record_id=new_id(now)
            )
            check_personal_data(record)
            signed = sign(author, record)
            write_over(self.folder / f"x-{record.id}.entry", signed.raw)
            return signed

    def leaf_of(self, kind: str, name: str, ask: Callable[[str], str]) -> str:
        """The leaf hash that `ask` finds under a name; remembered, so that it is known while the
        node is down. A leaf hash stands for itself then.
        """
        memory = self.folder / "names.json"
        known = _decode(memory, dict[str, str]) if memory.is_file() else {}
        key = f"{kind}/{name}"
        try:
            leaf = ask(name)
        except UnreachableError as down:
            leaf = known.get(key, name)
            try:
                unb64url(leaf, 32)
            except MalformedError:
                raise down from None
            return leaf
        if known.get(key) != leaf:
            with self.alone():
                write_over(memory, msgspec.json.encode({**known, key: leaf}))
        return leaf

    # --- sending ---

    def waiting(self) -> list[Path]:
        """The entries that wait, in the order of their systems and numbers."""
        return sorted(self.folder.glob("*.entry"))

    def counts(self) -> dict[str, int]:
        """How many records are open, wait to be sent, and were refused."""
        return {
            kind: len(list(self.folder.glob(f"*.{kind}"))) for kind in ("open", "entry", "refused")
        }

    def send(self, session: Session) -> Iterator[Sent]:
        """Send all that waits, one after the other; what died in the middle is signed first.

        Raises the error that says "later": `UnreachableError` (O7), `BusyError`, `StorageError`, or
        `SignatureError` for a key that the chain does not know. Nothing is lost by it.
        """
        with self.alone():
            self._sign_abandoned(session)
            waiting = self.waiting()
        for path in waiting:
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                continue  # Another process has sent it.
            entry = decode_entry(raw)
            signed = Signed(entry.record.id, entry.leaf, raw)
            try:
                recorded = session.post(signed)
            except KEPT:
                raise
            except AllianceError as error:
                path.rename(self.folder / f"{signed.id}.refused")
                yield Sent(signed.id, None, error)
                continue
            with self.alone():
                if entry.record.type == "access":
                    source = entry.record.body.source
                    self._remember(source.system, source.seq)
                path.unlink(missing_ok=True)
            yield Sent(signed.id, recorded, None)

    def _sign_abandoned(self, session: Session) -> None:
        """What has no owner any more is signed with what is known of it."""
        for path in sorted(self.folder.glob("*.open")):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue  # Its owner has just ended it.
            with file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # Its owner is at work.
                if path.exists():
                    draft = _decode(path, Draft)
                    _end(self.author(session), path, draft, ABANDONED[draft.kind])

    def author(self, session: Session) -> Author:
        """Who signs here; remembered, so that it is known while the node is down."""
        memory = self.folder / "authors.json"
        known = _decode(memory, dict[str, str]) if memory.is_file() else {}
        try:
            author = session.author
        except UnreachableError:
            signer = session.signer
            org = known.get(b64url(signer.kid))
            if org is None:
                raise
            return Author(signer, org, session.genesis.tip.chain)
        kid = b64url(author.signer.kid)
        if known.get(kid) != author.org:
            write_over(memory, msgspec.json.encode({**known, kid: author.org}))
        return author


def _given(fields: Mapping[str, object], **more: object) -> dict[str, object]:
    return {name: value for name, value in {**fields, **more}.items() if value is not None}


def _end(
    author: Author,
    place: Path,
    draft: Draft,
    ending: Mapping[str, object],
    at_ms: int | None = None,
) -> str:
    """From `.open` to `.entry`; what died in between was signed before, and is not signed again.
    Gives the leaf hash.
    """
    entry = place.with_suffix(".entry")
    if not entry.exists():
        write_over(entry, sign(author, draft.record(author.chain, ending, at_ms)).raw)
    leaf = decode_entry(read_file(entry)).leaf
    place.unlink(missing_ok=True)
    return b64url(leaf)


def _file_name(system: str) -> str:
    """Systems have names of any letters; files do not."""
    return sha256(system.encode()).hexdigest()[:16]


def _decode(path: Path, kind: type[T]) -> T:
    """What a file of this folder holds. Raises `MalformedError` (X2.file)."""
    try:
        return msgspec.json.decode(read_file(path), type=kind)
    except UNREADABLE:
        raise MalformedError("X2.file", file=path.name) from None


def _write_locked(place: Path, data: bytes) -> IO[bytes]:
    """A new file, durable and locked for as long as it is open. Raises `ConfigError` (X1.file)."""
    part = place.with_suffix(".part")
    try:
        file = part.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        part.rename(place)
    except OSError:
        raise ConfigError("X1.file", file=place.name) from None
    return file


def ending_of(outcome: str, end_ms: int) -> dict[str, object]:
    """What is known at the end of a use."""
    return {"ended": encode_time(end_ms), "outcome": outcome}


# --- commands ---


def show_outbox(place: Place) -> None:
    """Say what waits in this home to be sent."""
    counts = Outbox(place.home).counts()
    show(counts, [say("outbox-counts", **counts)])


def send_outbox(place: Place) -> None:
    """Send what waits; of what a dead program left, what is known is recorded."""
    outbox = Outbox(place.home)
    sent: list[Sent] = []
    with Session(place) as session, progress("sending-outbox", len(outbox.waiting())) as advance:
        for one in outbox.send(session):
            sent.append(one)
            advance(1)
    show([_as_json(one) for one in sent], [*map(_line, sent), *_counts(outbox)])


def _counts(outbox: Outbox) -> list[str]:
    return [say("outbox-counts", **outbox.counts())]


def _as_json(one: Sent) -> dict[str, object]:
    if one.recorded is not None:
        return one.recorded.to_json()
    error = one.error
    return {"id": one.id, "status": "refused", "rule": error.rule if error else ""}


def _line(one: Sent) -> str:
    if one.recorded is not None:
        facts = {"index": one.recorded.index, "height": one.recorded.height}
        return say("outbox-sent", id=one.id, **facts)
    sentence = one.error.sentence(language()) if one.error else ""
    return say("outbox-refused", id=one.id, sentence=sentence)


app = typer.Typer(
    no_args_is_help=True, help="Uses, runs and results that are signed and not recorded yet."
)
app.command("show")(at_place(show_outbox))
app.command("send")(signing("system")(send_outbox))
