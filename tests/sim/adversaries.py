"""Members who do not follow the rules, and know them well."""

import msgspec

from ledger.consensus import (
    BlockInfo,
    Certificate,
    Fact,
    Fetch,
    Proposal,
    Send,
    Vote,
    signed_bytes,
    verify_fact,
)
from ledger.consensus.messages import NO_BLOCK, Kind, certificate_votes, make_certificate
from ledger.errors import AllianceError
from tests.sim.world import Body, Node, make_body, sign, verify

change = msgspec.structs.replace
Place = tuple[int, int, bytes]


class Liar(Node):
    """Says everything to somebody: equivocates, votes for all sides, skips without certificates,
    withholds bodies, keeps certificates back and shows them late, replays, and forges.
    """

    def start(self) -> None:
        self.correct = False
        self.tally: dict[tuple[int, int, Kind, bytes], dict[int, Vote]] = {}
        self.certs: dict[tuple[int, int, str, bytes], Certificate] = {}
        self.facts: list[Fact] = []
        super().start()
        self.world.after(50, self.act, self.life)

    def send(self, effect: Send) -> None:
        # The machine inside follows along, to know the chain; its own words never leave.
        pass

    def receive_fact(self, sender: Node, item: Body | Fact) -> None:
        if not isinstance(item, Body) and self.believes(item):
            self.learn(item)
        super().receive_fact(sender, item)

    def believes(self, fact: Fact) -> bool:
        try:
            verify_fact(fact, self.core.config, verify, self.mem.previous)
        except AllianceError:
            return False
        return True

    def learn(self, fact: Fact) -> None:
        self.facts = [*self.facts[-60:], fact]
        if isinstance(fact, Certificate):
            self.certs[fact.epoch, fact.view, fact.kind, fact.block] = fact
            for vote in certificate_votes(fact):
                self.count(vote)
        elif isinstance(fact, Proposal):
            self.count(fact.vote)
            for cert in (fact.parent_cert, *fact.skips):
                if cert is not None:
                    self.learn(cert)
        elif isinstance(fact, Vote):
            self.count(fact)

    def count(self, vote: Vote) -> None:
        key = (vote.epoch, vote.view, vote.kind, vote.block)
        self.tally.setdefault(key, {})[vote.signer] = vote

    def word(self, kind: Kind, view: int, height: int, block: bytes) -> Vote:
        config = self.core.config
        message = signed_bytes(config, kind, view, height, block)
        signer = self.core.index or 0
        return Vote(kind, config.epoch, view, height, block, signer, sign(self.key, message))

    def some(self) -> list[Node]:
        peers = self.world.peers(self)
        return self.world.rng.sample(peers, self.world.rng.randrange(1, len(peers) + 1))

    def tell(self, item: object, peers: list[Node]) -> None:
        for part in item if isinstance(item, tuple) else (item,):
            if isinstance(part, Vote | Certificate | Proposal):
                self.world.invariants.released(self, (part,))
                self.learn(part)
        for peer in peers:
            self.world.send(self, peer, item)

    def act(self, life: int) -> None:
        if not self.up or life != self.life:
            return
        self.world.after(self.world.rng.choice((20, 100, 400, 900)), self.act, life)
        if self.core.index is None:
            return
        for action in (self.vote, self.vote, self.propose, self.late_certificate, self.replay):
            if self.world.rng.random() < 0.5:
                action()

    def places(self) -> list[Place]:
        """The blocks that somebody spoke for: view, height, block."""
        epoch = self.core.config.epoch
        found = {
            (vote.view, vote.height, vote.block)
            for (seen, _, kind, _), votes in self.tally.items()
            if seen == epoch and kind != "nullify"
            for vote in votes.values()
        }
        return sorted(found)[-12:]

    def vote(self) -> None:
        places = self.places()
        if not places:
            return
        view, height, block = self.world.rng.choice(places)
        kind: Kind = self.world.rng.choice(("notarize", "notarize", "finalize", "nullify"))
        if kind == "nullify":
            view = self.world.rng.choice((view, self.core.view))
            height, block = 0, NO_BLOCK
        self.tell(self.word(kind, view, height, block), self.some())

    def certify(self, view: int, kind: Kind, block: bytes, height: int) -> Certificate | None:
        """A certificate of all the words held and, where it helps, this member's own."""
        config = self.core.config
        key = (config.epoch, view, kind, block)
        if (config.epoch, view, kind, block) in self.certs:
            return self.certs[key]
        votes = dict(self.tally.get(key, {}))
        votes[self.core.index or 0] = self.word(kind, view, height, block)
        if len(votes) < config.q:
            return None
        return make_certificate(config, list(votes.values()))

    def propose(self) -> None:
        config, rng = self.core.config, self.world.rng
        leads = range(max(1, self.core.view - 1), self.core.view + 2)
        mine = [view for view in leads if config.leader(view) == self.core.index]
        if not mine:
            return
        view = mine[-1]
        parents: list[Place] = [(0, self.mem.anchor.height, self.mem.anchor.id)]
        parents += [place for place in self.places() if place[0] < view]
        for _ in range(rng.choice((1, 2, 2))):
            place = rng.choice(parents[-6:])
            peers = self.some()
            item = self.offer(view, place)
            if item is not None:
                self.tell(item, peers)

    def offer(self, view: int, place: Place) -> object:
        """A proposal on some parent, with as much justification as there is."""
        number, height, block = place
        parent = self.known(block)
        if parent is None:
            return None
        skips = [self.certify(w, "nullify", NO_BLOCK, 0) for w in range(number + 1, view)]
        cert = self.certify(number, "notarize", block, height) if number else None
        held = tuple(cert for cert in skips if cert is not None)
        again = self.world.rng.random() < 0.2
        if again and number:
            return Proposal(self.word("propose", view, height, block), cert, held)
        body = self.body(parent, view, number)
        self.bodies[body.info.id] = body
        vote = self.word("propose", view, body.info.height, body.info.id)
        if self.world.rng.random() < 0.15:
            return Proposal(vote, cert, held)
        return (body, Proposal(vote, cert, held))

    def known(self, block: bytes) -> BlockInfo | None:
        if block in self.bodies:
            return self.bodies[block].info
        return next((b.info for b in self.mem.chain[-20:] if b.info.id == block), None)

    def body(self, parent: BlockInfo, view: int, number: int) -> Body:
        records = self.waiting(parent)[:3] or [f"liar-{self.index}-{view}-{self.world.sequence}"]
        records = [record for record in records if not record.startswith("config/")]
        if self.world.rng.random() < 0.1:
            # No correct member finds these valid.
            known = sorted(self.mem.included)[:1]
            records = self.world.rng.choice((["poison"], [*known, *known], []))
            return self.invalid(parent, view, number, tuple(records))
        time_ms = max(self.now, parent.time_ms + 1) + self.world.rng.choice((0, 0, 1, 1_500))
        return make_body(
            parent, view, number, time_ms, tuple(records or ["liar"]), self.core.config
        )

    def invalid(self, parent: BlockInfo, view: int, number: int, records: tuple[str, ...]) -> Body:
        time_ms = max(self.now, parent.time_ms + 1)
        return make_body(parent, view, number, time_ms, records, self.core.config)

    def late_certificate(self) -> None:
        """Kept back until now; or one that somebody has spoiled."""
        if self.certs:
            key = self.world.rng.choice(sorted(self.certs))
            self.tell(self.certs[key], self.some())
            for peer in self.some():
                self.world.send(self, peer, self.spoiled(self.certs[key]))

    def spoiled(self, cert: Certificate) -> Certificate:
        """One signature short, one signer twice, a foreign one, another block, another chain."""
        short = change(
            cert, signers=cert.signers & cert.signers - 1, signatures=cert.signatures[1:]
        )
        twice = change(cert, signatures=(cert.signatures[-1],) * len(cert.signatures))
        foreign = change(cert, signers=cert.signers << 1)
        moved = change(cert, view=cert.view + 1)
        other = change(cert, config_hash=bytes(32))
        return self.world.rng.choice((short, twice, foreign, moved, other))

    def replay(self) -> None:
        rng = self.world.rng
        if self.facts:
            self.tell(rng.choice(self.facts), self.some())
        far = self.core.view + rng.choice((1, 3, 100, 10_000))
        self.tell(self.word("nullify", far, 0, NO_BLOCK), self.some())
        other = rng.randrange(self.core.config.n)
        forged = Vote("nullify", 0, self.core.view, 0, NO_BLOCK, other, bytes(64))
        for peer in self.some():
            self.world.send(self, peer, forged)


class Twin(Node):
    """Two correct nodes with one key (an accidental standby): equivocation without attack code."""

    def start(self) -> None:
        self.correct = False
        super().start()


class Mute(Node):
    """Takes part in nothing, though its machine runs."""

    def start(self) -> None:
        self.correct = False
        super().start()

    def send(self, effect: Send) -> None:
        pass


class Withholder(Node):
    """Proposes without ever giving the body, and answers no request for it."""

    def start(self) -> None:
        self.correct = False
        super().start()

    def send(self, effect: Send) -> None:
        self.world.invariants.released(self, effect.facts)
        for fact in effect.facts:
            for peer in self.world.peers(self):
                self.world.send(self, peer, fact)

    def serve(self, sender: Node, want: Fetch) -> None:
        pass
