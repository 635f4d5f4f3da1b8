"""Where the chain is kept: the only SQL. One writer, one transaction with one fsync for
each block.
"""

from node.store.database import Store, StoredBlock
from node.store.queries import (
    AccessQuery,
    AccessRow,
    Page,
    Queries,
    parse_integer,
    parse_query,
    parse_time,
)
from node.store.questions import EVER, EVER_MS, Group, Uses, Window

__all__ = [
    "EVER",
    "EVER_MS",
    "AccessQuery",
    "AccessRow",
    "Group",
    "Page",
    "Queries",
    "Store",
    "StoredBlock",
    "Uses",
    "Window",
    "parse_integer",
    "parse_query",
    "parse_time",
]
