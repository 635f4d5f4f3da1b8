"""What a node writes about itself: one line for each event, as text or as JSON.

A line has a UTC time, a level, the name of an event and its fields. Fields are names of members,
numbers, rules and heights: never a key, a passphrase, a token or the content of a record.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Final, TextIO

from ledger.errors import unreachable

LOGGER: Final = "alliance.node"
FORMATS: Final = ("text", "json")
LOG: Final = logging.getLogger(LOGGER)

Field = str | int | None

EVENTS: Final[dict[str, str]] = {
    "node-started": "the node is open; where it stands",
    "node-stopping": "no more is taken; what was taken in is finished",
    "node-stopped": "the store is closed",
    "status-changed": "ok, silent, storage-failing, broken",
    "epoch-began": "a boundary block is final; the configuration that is in force now",
    "storage-failed": "the disk did not take a turn; callers were told, nothing is half written",
    "storage-recovered": "the disk takes turns again",
    "writer-broken": "a mistake of the software ended the writer; start the node again",
    "mistake": "a mistake of the software ended a request",
    "recording-failed": "what consensus takes in is written down no further",
    "clock-off": "the members' clocks are more than 2 s from this one",
    "clock-right": "they are not any more",
    "block-invalid": "a member's block breaks a rule here",
    "saved-block-damaged": "a block that was voted on cannot be read; it is asked for again",
    "journal-damaged": "a row of the vote journal cannot be read; the node is in quarantine",
    "alarm": "consensus found something that an operator must see",
    "contradiction": "a member signed two words that contradict each other",
    "evidence-recorded": "a record of that is final",
    "cosigned-otherwise": "a member cosigned another tree than this node's",
    "member-unreachable": "a request to a member failed",
    "member-reachable": "requests to it pass again",
    "catching-up": "blocks are fetched from these members; how many are lacking",
    "caught-up": "nothing is lacking that members have told of",
    "catch-up-stalled": "a member did not give in time what it said it had; others are asked",
    "catch-up-refused": "a member gave final blocks that do not verify; others are asked",
    "certificate-changed": "connections are shown the new TLS certificate from now on",
    "certificate-unreadable": "its new files cannot be used; the one before is shown on",
    "http-server": "a message of the HTTP server",
}
"""Every event, and what it means; `OPERATING.md` lists them."""


def log_event(level: int, event: str, /, **fields: Field) -> None:
    """Write one event."""
    if event not in EVENTS:
        unreachable(f"{event} stands in the table of events")
    LOG.log(level, event, extra={"fields": fields})


def set_up(form: str, stream: TextIO | None = None) -> None:
    """Write events, and what the HTTP server says, to a stream (by default the error stream)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOG.setLevel(logging.INFO)


def values_of(record: logging.LogRecord) -> dict[str, Field]:
    """What a line says, in order. Of an exception its kind and the places that it passed; not its
    message, which may hold what somebody sent.
    """
    moment = datetime.fromtimestamp(record.created, tz=UTC)
    values: dict[str, Field] = {
        "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z",
        "level": record.levelname.lower(),
    }
    fields = getattr(record, "fields", None)
    if fields is None:
        values |= {"event": "http-server", "logger": record.name, "message": record.getMessage()}
    else:
        values |= {"event": record.getMessage(), **fields}
    if record.exc_info and record.exc_info[0] is not None:
        frames = traceback.extract_tb(record.exc_info[2])
        values["exception"] = record.exc_info[0].__name__
        values["trace"] = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(frames))
    return values


class JsonLines(logging.Formatter):
    """One JSON object for each line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return json.dumps(values_of(record), ensure_ascii=False, separators=(",", ":"))


class TextLines(logging.Formatter):
    """For people: time, level, event, then name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        values = values_of(record)
        head = [str(values.pop(name)) for name in ("time", "level", "event")]
        return " ".join([*head, *(f"{name}={_plain(value)}" for name, value in values.items())])


def _plain(value: Field) -> str:
    """A value on one line: quoted where it is more than a word."""
    text = str(value)
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    return json.dumps(text, ensure_ascii=False)
