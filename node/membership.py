"""Where this node stands among the others: who takes part, with which key it speaks, and how far
it is behind. Used by the writer's thread, read by others.
"""

from ledger.chain import Tip
from ledger.consensus import Summary
from ledger.crypto import Signer
from node.config import Config
from node.keyring import Keyring
from node.roster import Peer, Roster


class Membership:
    """What the newest final block says of this node and the others."""

    def __init__(self, config: Config, keyring: Keyring, tip: Tip) -> None:
        self._urls = dict(config.peers)
        self._keyring = keyring
        self.claims: dict[str, Summary] = {}
        """What each member last said of where it stands."""
        self.roster: Roster
        self.signer: Signer
        self.follow(tip)

    def follow(self, tip: Tip) -> None:
        """Read the roster of this tip."""
        self.roster = Roster(tip, self._keyring.kids, self._urls)
        self.signer = self._keyring.speaker(tip)

    def learn(self, peer: Peer, summary: Summary) -> None:
        """How far a member says that it is."""
        if peer.role == "member":
            self.claims[peer.org] = summary

    def behind(self, tip: Tip) -> int | None:
        """How many blocks this node lacks: so many that one member at least is right who says so,
        while no more than c are faulty. None while too few have said anything.
        """
        members = {member.org for member in tip.config.members}
        said = [claim.final_height for org, claim in self.claims.items() if org in members]
        heights = sorted(said, reverse=True)
        own = any(key in tip.config.node_keys for key in self._keyring.node_keys)
        needed = tip.config.joining
        if own and needed > tip.config.n - 1:
            needed = tip.config.n - 1
        if len(heights) < needed:
            return None
        return max(0, heights[needed - 1] - tip.height) if needed else 0
