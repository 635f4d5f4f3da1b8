"""How much of the room for waiting entries each other member fills: nobody takes the place of
another (consensus.md 2.13). Used by the writer's thread alone.
"""

from collections.abc import Container, Sequence
from typing import Final

from ledger.records.envelope import Entry

MAX_ENTRIES: Final = 5_000
MAX_BYTES: Final = 8 << 20


class Shares:
    """The entries that each member has brought, as long as they wait."""

    def __init__(self) -> None:
        self._sizes: dict[str, dict[bytes, int]] = {}

    def admit(
        self, member: str, entries: Sequence[Entry], waiting: Container[bytes]
    ) -> list[Entry]:
        """Those of the entries for which this member has room left, from the front.

        What is left out is offered again by the member that took it in.
        """
        sizes = self._sizes.get(member, {})
        sizes = {key: size for key, size in sizes.items() if key in waiting}
        total = sum(sizes.values())
        admitted: list[Entry] = []
        for entry in entries:
            total += len(entry.raw)
            if len(sizes) >= MAX_ENTRIES or total > MAX_BYTES:
                break
            sizes[entry.id_key] = len(entry.raw)
            admitted.append(entry)
        self._sizes[member] = sizes
        return admitted
