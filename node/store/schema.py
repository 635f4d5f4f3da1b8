"""The tables. `TRUTH` holds signed bytes and the node's own promises; `DERIVED` one command
rebuilds.

Bodies are compressed: entries of one block repeat each other, and a proof never needs them.
"""

from typing import Final

from sqlalchemy import (
    BLOB,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

LAYOUT: Final = 1
"""Raised whenever a table changes."""

TRUTH = MetaData()
DERIVED = MetaData()

tip = Table(
    "tip",
    TRUTH,
    # One row. The compare-and-swap on it is what makes two writers impossible.
    Column("one", Integer, primary_key=True),
    Column("layout", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("leaf", BLOB, nullable=False),
    Column("derived", Integer, nullable=False),  # the height that the derived tables stand for
    Column("cosigned_size", Integer, nullable=False),
    Column("cosigned_root", BLOB, nullable=False),
)

block = Table(
    "block",
    TRUTH,
    Column("height", Integer, primary_key=True),
    Column("start", Integer, nullable=False),
    Column("size", Integer, nullable=False),  # of the tree after the seal
    Column("body", BLOB, nullable=False),  # zlib of the entry bundle, seal last
    Column("leaves", BLOB, nullable=False),  # 32 bytes each, the seal's last
    Column("findings", BLOB, nullable=False),  # zlib of the JSON of the codes of every entry
    Column("certificate", BLOB),
    # The signed note of `size`; empty where this node has not cosigned it.
    Column("checkpoint", BLOB, nullable=False),
)

justification = Table(
    "justification",
    TRUTH,
    Column("epoch", Integer, primary_key=True),
    Column("view", Integer, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("body", BLOB, nullable=False),
    sqlite_with_rowid=False,
)

journal = Table(
    "journal",
    TRUTH,
    Column("epoch", Integer, primary_key=True),
    Column("view", Integer, primary_key=True),
    Column("body", BLOB, nullable=False),
    sqlite_with_rowid=False,
)

candidate = Table(
    "candidate",
    TRUTH,
    # Bodies of blocks that are voted on and not yet final (several members only), as in `block`.
    Column("id", BLOB, primary_key=True),
    Column("height", Integer, nullable=False),
    Column("body", BLOB, nullable=False),
    sqlite_with_rowid=False,
)

waiting = Table(
    "waiting",
    TRUTH,
    # Entries that have waited for a block longer than usual (several members only).
    Column("leaf", BLOB, primary_key=True),
    Column("body", BLOB, nullable=False),
    sqlite_with_rowid=False,
)

doubt = Table(
    "doubt",
    TRUTH,
    # One row while this database may be older than what its node has said (a restored copy).
    Column("one", Integer, primary_key=True),
)

accusation = Table(
    "accusation",
    TRUTH,
    # A member's two contradicting words; the entry of this node about them; the one on the chain.
    Column("epoch", Integer, primary_key=True),
    Column("view", Integer, primary_key=True),
    Column("signer", Integer, primary_key=True),
    Column("words", BLOB, nullable=False),
    Column("body", BLOB, nullable=False),
    Column("leaf", BLOB, nullable=False),
    sqlite_with_rowid=False,
)

alarm = Table(
    "alarm",
    TRUTH,
    # What must never happen and did, with the signed messages that prove it (several members only).
    Column("digest", BLOB, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at_ms", Integer, nullable=False),
    Column("facts", BLOB, nullable=False),
    sqlite_with_rowid=False,
)

state_delta = Table(
    "state_delta",
    DERIVED,
    # All changes of the rule state after the previous row and up to `height`.
    Column("height", Integer, primary_key=True),
    Column("keys", Integer, nullable=False),
    Column("body", BLOB, nullable=False),
)

term = Table(
    "term",
    DERIVED,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("count", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("kind", "text"),
)

entry_id = Table(
    "entry_id",
    DERIVED,
    # The id comes first: UUIDv7 ids arrive in order, so that this index grows at its end.
    Column("id", BLOB, primary_key=True),
    Column("kid", Integer, primary_key=True),
    Column("idx", Integer, nullable=False),
    sqlite_with_rowid=False,
)

entry_leaf = Table(
    "entry_leaf",
    DERIVED,
    Column("prefix", Integer, primary_key=True),  # the first 8 bytes of the leaf hash
    Column("idx", Integer, primary_key=True),
    sqlite_with_rowid=False,
)

access = Table(
    "access",
    DERIVED,
    # id = index * 256 + event; event 0 is a single access, 1 to 150 those of a batch.
    Column("id", Integer, primary_key=True),
    Column("at", Integer, nullable=False),
    Column("dataset", Integer, nullable=False),
    Column("person", Integer, nullable=False),
    Column("activity", Integer, nullable=False),
    Column("system", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("request", Integer, nullable=False),  # the system, or the leaf, that it names
    Column("request_seq", Integer, nullable=False),
    Column("permit", Integer, nullable=False),
    Column("action", Integer, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("org", Integer, nullable=False),
    Column("findings", Integer, nullable=False),  # the term of the whole list of codes
)
for _name in ("at", "dataset", "person", "activity", "system", "seq", "request_seq", "findings"):
    Index(f"access_{_name}", access.c[_name])
# A column that is empty for nearly every row: only the others are worth finding.
Index("access_permit", access.c.permit, sqlite_where=text("permit <> 0"))

posting = Table(
    "posting",
    DERIVED,
    # Subject logs of records other than accesses; those of accesses are read from `access`.
    Column("subject", Integer, primary_key=True),
    Column("idx", Integer, primary_key=True),
    sqlite_with_rowid=False,
)

PRAGMAS: Final = (
    "PRAGMA page_size = 8192",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 8000",
    "PRAGMA temp_store = MEMORY",
)
