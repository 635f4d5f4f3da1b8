"""Where the chain is kept: the only SQL. One writer, one transaction with one fsync for
each block.
"""

from node.store.database import Store, StoredBlock
from node.store.queries import AccessQuery, AccessRow, Page, Queries, parse_query
from node.store.questions import answer

__all__ = [
    "AccessQuery",
    "AccessRow",
    "Page",
    "Queries",
    "Store",
    "StoredBlock",
    "answer",
    "parse_query",
]
