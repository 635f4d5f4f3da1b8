"""The node carries out: storage, network and time around the ledger."""

from typing import Final

VERSION: Final = "alliance/1"
"""What this software calls itself to others."""
