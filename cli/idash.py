"""The access log of the iDASH 2018 competition: one line of a file, one signed `access` entry.

Seven fields with tabs between them, CRLF at the end: time in ms, node, id, ref-id, user, activity,
resource. A line is turned into the same bytes every time, so importing a file twice makes no
duplicates: node and id are the source's number, the record's id follows from them.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Never

from cli.statements import Author, Signed, make_record, sign
from ledger.encoding import encode_uuid7
from ledger.errors import ConfigError, MalformedError
from ledger.records.use import AccessBody, Action, Channel, Source

FIELDS: Final = ("timestamp", "node", "id", "ref-id", "user", "activity", "resource")
DEFAULT_SYSTEM: Final = "idash"
MAX_LINE_BYTES: Final = 1_024
_LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""

_NUMBER = rb"0|[1-9][0-9]{0,14}"
_POSITIVE = rb"[1-9][0-9]{0,14}"
_CODE = rb"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}"
_FORMS = (_NUMBER, _CODE, _POSITIVE, _POSITIVE, _CODE, _CODE, _CODE)
_FIELD_FORMS = tuple(re.compile(rb"\A(?:" + form + rb")\Z") for form in _FORMS)
_LINE = re.compile(rb"\A" + rb"\t".join(b"(" + form + b")" for form in _FORMS) + rb"\r\n\Z")

MEANING: Final[dict[str, tuple[Action, Channel]]] = {
    "FILE_ACCESS": ("read", "file"),
    "REQ_RESOURCE": ("request", "unknown"),
    "VIEW_RESOURCE": ("read", "unknown"),
}
"""What the log's activities mean in our terms; any other is kept and means `unknown`."""


class Line(NamedTuple):
    """One line of the log."""

    at_ms: int
    node: str
    seq: int
    ref: int
    user: str
    activity: str
    resource: str


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file, in order.

    Raises `MalformedError` (X3.*) with the file's name, the line's number and the field, and
    `ConfigError` (X1.file) for a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield parse_line(raw, path.name, number)
    except OSError:
        raise ConfigError("X1.file", file=path.name) from None


def parse_line(raw: bytes, file: str, number: int) -> Line:
    """The line of these bytes, CRLF included. Raises `MalformedError` (X3.*)."""
    found = _LINE.match(raw)
    if found is None:
        _explain(raw, file, number)
    at, node, seq, ref, user, activity, resource = found.groups()
    at_ms = int(at)
    if at_ms > _LATEST_MS:
        raise MalformedError("X3.field", file=file, line=number, field=FIELDS[0])
    return Line(
        at_ms, node.decode(), int(seq), int(ref), user.decode(), activity.decode(),
        resource.decode(),
    )  # fmt: skip


def _explain(raw: bytes, file: str, number: int) -> Never:
    """Say what is wrong with a line."""
    if len(raw) > MAX_LINE_BYTES:
        raise MalformedError("X3.long", file=file, line=number, limit=MAX_LINE_BYTES)
    if not raw.endswith(b"\r\n"):
        raise MalformedError("X3.end", file=file, line=number)
    fields = raw[:-2].split(b"\t")
    if len(fields) != len(FIELDS):
        raise MalformedError(
            "X3.count", file=file, line=number, found=len(fields), expected=len(FIELDS)
        )
    wrong = next(
        name
        for name, form, value in zip(FIELDS, _FIELD_FORMS, fields, strict=True)
        if form.match(value) is None
    )
    raise MalformedError("X3.field", file=file, line=number, field=wrong)


def record_id(org: str, system: str, seq: int, at_ms: int) -> str:
    """The id of a line's record: its time, and chance that follows from its source number."""
    return encode_uuid7(at_ms, sha256(f"{org}\n{system}\n{seq}".encode()).digest())


def body_of(line: Line, system: str) -> AccessBody:
    """What a line says, as an access. `system` names the log; each of its nodes counts by
    itself.
    """
    action, channel = MEANING.get(line.activity, ("unknown", "unknown"))
    source = f"{system}-{line.node}"
    return AccessBody(
        action=action,
        activity=line.activity,
        channel=channel,
        dataset=line.resource,
        outcome="unknown",
        person=f"ext:{system}:{line.user}",
        request=Source(seq=line.ref, system=source),
        source=Source(seq=line.seq, system=source),
    )


def sign_line(author: Author, line: Line, system: str) -> Signed:
    """The signed entry of a line: the same line gives the same bytes."""
    body = body_of(line, system)
    identity = record_id(author.org, body.source.system, line.seq, line.at_ms)
    record = make_record("access", body, chain=author.chain, at_ms=line.at_ms, record_id=identity)
    return sign(author, record)
