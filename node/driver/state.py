"""What the parts of a driver share. The writer's thread alone changes it; any may read it."""

from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import Any

from ledger.chain import Applied
from ledger.consensus import Consensus
from ledger.errors import unreachable
from node.admission import Admission, Signatures
from node.clock import Clock
from node.config import Config
from node.cosigning import View
from node.driver.carrier import Carrier, Nobody
from node.keyring import Keyring, KeySet
from node.membership import Membership
from node.store import Store
from node.wire import Exchange


class State:
    """A node's chain, keys and disk, and where consensus stands."""

    final: View
    """The newest block that is final here, and durable."""
    org: str
    """The organisation whose node this is."""
    machine: Consensus
    membership: Membership
    clock: Clock

    def __init__(self, config: Config, keyring: Keyring, genesis: Applied, store: Store) -> None:
        self.config = config
        self.keyring = keyring
        self.genesis = genesis
        self.store = store
        self.admission = Admission(Signatures(), genesis.tip)
        self.carrier: Carrier = Nobody()
        self.counters: Counter[str] = Counter()
        self.alarms: Counter[str] = Counter()
        self._said: list[tuple[str | None, Exchange]] = []

    @property
    def alone(self) -> bool:
        """Whether this node decides by itself."""
        return self.final.tip.config.n == 1 and self.machine.index is not None

    @property
    def in_touch(self) -> bool:
        """Whether there is anybody to talk to."""
        return not self.alone or bool(self.carrier.others())

    @property
    def behind(self) -> int | None:
        """How many blocks this node lacks, as far as others say; None while nobody has said."""
        return self.membership.behind(self.final.tip)

    def keys_in_force(self) -> KeySet:
        """The keys that consensus speaks with in its epoch."""
        found = self.keyring.find(self.machine.config)
        if found is None:
            unreachable("an observer is silent")
        return found[0]

    def say(self, to: str | None, **parts: Any) -> None:
        """To one of the others by name, or to all, at the end of this turn: each of them gets one
        request for a turn, however much there is to say (consensus.md 2.14).
        """
        self._said.append((to, self.message(**parts)))

    def send(self) -> None:
        """What was said leaves; all that it rests on is durable."""
        said, self._said = self._said, []
        for to, group in groupby(said, itemgetter(0)):
            self.carrier.send(to, *(item for _to, item in group))

    def unsay(self) -> None:
        """The turn has failed: nothing of it leaves."""
        self._said.clear()

    def message(self, **parts: Any) -> Exchange:
        """What this node says to others."""
        return Exchange(v=1, pin=self.genesis.seal.leaf, **parts)
