"""`alliance dossier export`: everything about one subject, asked for at a node and checked as it
will be checked by whoever gets it.
"""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec.structs import replace

from cli.dossier_texts import explain
from cli.dossiers import verify_file
from cli.home import read_file, write_over
from cli.options import TAKES_ID, Place, at_place
from cli.outputs import object_leaf
from cli.rights import certificate_file
from cli.screen import progress, say, show
from cli.session import Session
from ledger.certificates import CertificateFile
from ledger.crypto import verify
from ledger.dossier import (
    MAX_RECORDS,
    Evidence,
    check_complete,
    earlier_of,
    head_of,
    keys_of,
    log_of,
    make_dossier,
    verify_evidence,
)
from ledger.encoding import b64url
from ledger.errors import BusyError, NotFoundError, TooLargeError
from ledger.records.envelope import Entry, Shape
from ledger.records.rights import CertificateBody
from ledger.rules.values import SubjectLog
from ledger.verify import Receipt, StateAnswer, SubjectAnswer

dossier = typer.Typer(
    no_args_is_help=True, help="Evidence dossiers: all about one object, for people without a node."
)

ON_A_RECORD: Final = "record:"

ATTEMPTS: Final = 10
"""So often a growing chain is asked again before it is too busy for a dossier."""


class _HeadMovedError(Exception):
    """An answer stands under a newer head than the first one."""


def export_dossier(
    place: Place,
    target: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT",
            help="RESULT, SERIES, SERIES@VERSION, PERMIT, certificate number, leaf hash, or a "
            "subject like dataset:GTEx.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The zip file.")],
) -> None:
    """Write a dossier: all records about an object, and those that they rest on, with proofs, keys,
    schemas and instructions, for whoever has this file and the pin and nothing else.
    """
    with Session(place) as session:
        subject = subject_of(session, target)
        evidence = _collect(session, subject)
        genesis = session.genesis
    found = verify_evidence(evidence, genesis, verify)
    check_complete(evidence, found, genesis)
    data = make_dossier(evidence, found, genesis, explain)
    write_over(out, data)
    about, height = len(found.about), found.head.seal.seal.height
    rest = len(found.records) - about
    facts = {"about": about, "rest": rest, "size": len(data), "height": height}
    lines = [say("dossier-written", file=str(out), subject=subject, **facts)]
    lines += [say("dossier-bare", no=number) for number in found.bare]
    lines.append(say("dossier-pin", pin=found.pin))
    result = {"file": str(out), "bytes": len(data), "subject": subject, "pin": found.pin}
    counts = {"about": about, "records": len(found.records), "height": height}
    show({**result, **counts, "certificates_as_records_only": found.bare}, lines)


def subject_of(session: Session, name: str) -> str:
    """The subject that an object is known by: as it is given, or by its name, or else the first
    subject of its record; of what is about another record (a publication, a claim), of that one.

    Raises `NotFoundError` (O6).
    """
    for subject in (name, f"permit:{name}", f"dataset:{name}"):
        if session.state(SubjectLog, "subject", subject) is not None:
            return subject
    subject = session.entry(object_leaf(session, name)).entry.statement.sub
    while subject.startswith(ON_A_RECORD):
        subject = session.entry(subject.removeprefix(ON_A_RECORD)).entry.statement.sub
    return subject


def _collect(session: Session, subject: str) -> Evidence:
    """All that a dossier is made of, under one head. Raises `BusyError` (V42) where the chain grows
    faster than it can be asked.
    """
    for _attempt in range(ATTEMPTS):
        collector = Collector(session, subject)
        try:
            collector.run()
            return collector.finish()
        except _HeadMovedError:
            continue
    raise BusyError("V42", count=ATTEMPTS)


class Collector:
    """Goes from the records about a subject to all that they rest on."""

    def __init__(self, session: Session, subject: str) -> None:
        self.session = session
        self.answer: SubjectAnswer
        self.answer, _head = session.subject(subject)
        self.head = head_of(self.answer)
        self.subject = subject
        self.about: set[str] = set()
        self.entries: dict[str, Entry] = {}
        self.receipts: dict[int, Receipt] = {}
        self.values: dict[str, Shape | None] = {}
        self.states: dict[str, StateAnswer] = {}

    def run(self) -> None:
        """Ask until nothing is missing. Raises `TooLargeError` (V41)."""
        about, waiting = self.about, list(self.answer.leaves)
        self._check_count(len(waiting))
        with progress("dossier-collecting", None) as advance:
            while waiting:
                leaf = waiting.pop()
                if leaf not in about:
                    about.add(leaf)
                    self._take(leaf)
                    waiting += self._log(leaf)
                    advance(1)
            founded = {b64url(entry.leaf) for entry in self.session.genesis.entries}
            waiting = [name for leaf in about for name in self._earlier(leaf)]
            while waiting:
                leaf = waiting.pop()
                if leaf not in self.entries and leaf not in founded:
                    self._take(leaf)
                    waiting += self._earlier(leaf)
                    advance(1)

    def _take(self, leaf: str) -> None:
        """A record, and the values of the state that belong to it."""
        self._check_count(len(self.entries) + 1)
        receipt = self.session.receipt(leaf)
        self._check(receipt)
        found = self.session.verified(receipt)
        entry = self.entries[leaf] = found.entry
        self.receipts[found.index] = receipt
        for key in keys_of(entry):
            self._value(key)

    def _check_count(self, count: int) -> None:
        if count > MAX_RECORDS:
            raise TooLargeError("V41", subject=self.subject, count=count)

    def _value(self, key: str) -> Shape | None:
        if key not in self.values:
            namespace, _, name = key.partition("/")
            value, _head, answer = self.session.proven_state(namespace, name)
            self._check(answer)
            self.values[key], self.states[key] = value, answer
        return self.values[key]

    def _log(self, leaf: str) -> tuple[str, ...]:
        """The leaf hashes of what was recorded on a record."""
        key = log_of(leaf)
        if self._value(key) is None:
            return ()
        answer, _head = self.session.subject(key.removeprefix("subject/"))
        self._check(answer)
        return answer.leaves

    def _earlier(self, leaf: str) -> list[str]:
        return list(earlier_of(self.entries[leaf], self.values))

    def _check(self, *proofs: Receipt | StateAnswer | SubjectAnswer) -> None:
        """All proofs stand under the first one's head, signed by the same."""
        if any(head_of(proof) != self.head for proof in proofs):
            raise _HeadMovedError

    def finish(self) -> Evidence:
        """The evidence, with the certificates that can be had: a node cannot always work out an
        old calculation again.
        """
        certificates: dict[str, CertificateFile] = {}
        for leaf in self.about:
            body = self.entries[leaf].record.body
            if isinstance(body, CertificateBody):
                with suppress(NotFoundError):
                    file = certificate_file(self.session, body.cert_no, nameless=True)
                    self._check(*file.receipts, *file.states)
                    certificates[body.cert_no] = replace(file, openings=())
        return Evidence(
            genesis=read_file(self.session.place.home / "genesis"),
            subject=self.answer,
            receipts=tuple(receipt for _index, receipt in sorted(self.receipts.items())),
            states=tuple(answer for _key, answer in sorted(self.states.items())),
            certificates=tuple(one for _number, one in sorted(certificates.items())),
        )


dossier.command("export", context_settings=TAKES_ID)(at_place(export_dossier))
dossier.command("verify")(verify_file)
