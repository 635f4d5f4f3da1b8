"""Directed runs: each builds one situation that chance rarely meets (consensus.md 3.6).

A scenario takes the machine, so that a sabotaged one can be shown to fail it.
"""

from collections.abc import Callable

import msgspec

from ledger.consensus import (
    BlockInfo,
    Certificate,
    Consensus,
    Health,
    Proposal,
    Send,
    Status,
    Summary,
    Vote,
    contradicting,
    signed_bytes,
    status_bytes,
)
from ledger.consensus.events import Verdict
from ledger.consensus.messages import NO_BLOCK, Kind, make_certificate
from ledger.members import default_quorum
from tests.sim.adversaries import Liar, Mute, Twin, Withholder
from tests.sim.campaign import heal, must_be_silent, must_recover
from tests.sim.invariants import must
from tests.sim.world import (
    Body,
    Faults,
    Node,
    PowerCut,
    World,
    key_of,
    make_body,
    make_config,
    sign,
)

Machine = type[Consensus]
change = msgspec.structs.replace


def is_word(item: object, *kinds: str) -> bool:
    return isinstance(item, Vote) and item.kind in kinds


def finish(world: World, *records: str) -> None:
    heal(world)
    world.filter = lambda *_: True
    must_recover(world, list(records))
    must_be_silent(world)


def by_member(world: World, index: int) -> Node:
    key = world.genesis_config.node_keys[index]
    return next(node for node in world.nodes if key in node.keys)


class Hands:
    """One real member; the test speaks for the other three."""

    def __init__(self, machine: Machine, driver: type[Node] = Node) -> None:
        self.world = World(1, 4, machine=machine, driver=driver)
        self.config = self.world.genesis_config
        # The real one leads none of the first three views.
        self.hero = by_member(self.world, self.config.leaders[3])
        self.others = [i for i in range(4) if i != self.config.leaders[3]]
        for node in self.world.nodes:
            if node is not self.hero:
                node.crash()
                node.correct = False

    def word(self, kind: Kind, signer: int, view: int, info: BlockInfo | None = None) -> Vote:
        height, block = (info.height, info.id) if info else (0, NO_BLOCK)
        message = signed_bytes(self.config, kind, view, height, block)
        signature = sign(self.config.node_keys[signer], message)
        return Vote(kind, 0, view, height, block, signer, signature)

    def certificate(self, kind: Kind, view: int, info: BlockInfo | None = None) -> Certificate:
        return make_certificate(self.config, [self.word(kind, i, view, info) for i in self.others])

    def tell(self, *items: object) -> None:
        for item in items:
            self.world.send(by_member(self.world, self.others[0]), self.hero, item)
        self.world.run(100)

    def status(self, signer: int, view: int) -> Status:
        """A heartbeat of now."""
        fields = (0, view, 0, self.world.genesis.id, 0, self.world.now, bytes(16), "sim", signer)
        status = Status(*fields, bytes(64))
        signature = sign(self.config.node_keys[signer], status_bytes(self.config, status))
        return change(status, signature=signature)

    def propose(self, view: int, parent: BlockInfo, parent_view: int, name: str) -> Body:
        """The leader of `view` sends a block, with no justification at all."""
        time_ms = max(self.world.now, parent.time_ms + 1)
        body = make_body(parent, view, parent_view, time_ms, (name,), self.config)
        vote = self.word("propose", self.config.leader(view), view, body.info)
        self.tell((body, Proposal(vote, None, ())))
        return body

    def said(self, kind: Kind, view: int) -> Vote | None:
        held = self.hero.core._views.get(view)
        return held.said(kind) if held else None


def skip_without_certificate(machine: Machine) -> None:
    """10: a parent older than the view before needs an X for each view between (ava #281)."""
    hands = Hands(machine)
    genesis = hands.world.genesis
    first = hands.propose(1, genesis, 0, "a").info
    must(hands.said("notarize", 1) is not None, "a good proposal got no vote")
    hands.tell(hands.certificate("notarize", 1, first))
    second = hands.propose(2, first, 1, "b").info
    hands.tell(hands.certificate("notarize", 2, second))
    must(hands.hero.core.view == 3, "N(2) enters view 3")
    hands.propose(3, first, 1, "c")
    must(hands.said("notarize", 3) is None, "a vote for a block that passes over a view")


def finalize_after_nullify(machine: Machine) -> None:
    """11: N(v) after my nullify: enter the next view, but never finalize this one (ava #280)."""
    hands = Hands(machine)
    info = hands.propose(1, hands.world.genesis, 0, "a").info
    hands.tell(*(hands.word("nullify", i, 1) for i in hands.others[:2]))
    must(hands.said("nullify", 1) is not None, "a nullifies are joined")
    hands.tell(hands.certificate("notarize", 1, info))
    must(hands.hero.core.view == 2, "a notarization is learned after nullify (commonware #2695)")
    must(hands.said("finalize", 1) is None, "finalized what was nullified")
    hands.hero.crash()
    hands.hero.start()
    hands.tell(hands.certificate("notarize", 1, info))
    must(hands.said("finalize", 1) is None, "finalized after the restart what was nullified")


def nullify_after_finalize(machine: Machine) -> None:
    """R8: finalized, and then others nullify."""
    hands = Hands(machine)
    info = hands.propose(1, hands.world.genesis, 0, "a").info
    hands.tell(hands.certificate("notarize", 1, info))
    must(hands.said("finalize", 1) is not None, "N(1) is finalized")
    hands.tell(*(hands.word("nullify", i, 1) for i in hands.others[:2]))
    must(hands.said("nullify", 1) is None, "nullified what was finalized")


def finalize_another(machine: Machine) -> None:
    """R7: having notarized one block, never finalize its sibling: that pins the blame later."""
    hands = Hands(machine)
    hands.propose(1, hands.world.genesis, 0, "a")
    genesis = hands.world.genesis
    other = make_body(genesis, 1, 0, hands.world.now, ("b",), hands.config)
    hands.tell((other,), hands.certificate("notarize", 1, other.info))
    must(hands.hero.core.view == 2, "N(1) of the sibling enters view 2")
    must(hands.said("finalize", 1) is None, "finalized a block other than the one notarized")


def equivocating_leader(machine: Machine) -> None:
    """9: the second proposal of a leader gets no vote, and evidence is kept."""
    hands = Hands(machine)
    hands.propose(1, hands.world.genesis, 0, "a")
    first = hands.said("notarize", 1)
    hands.propose(1, hands.world.genesis, 0, "b")
    must(first is not None and hands.said("notarize", 1) == first, "two votes in a view")
    must(len(hands.world.invariants.evidence) == 1, "no evidence against an equivocator")


def block_above_boundary(machine: Machine) -> None:
    """12: nothing is built on a boundary block, however long it takes to be final (ava #545)."""
    world = World(1, 4, machine=machine)
    world.plans["config/1"] = (0, 1, 2, 3)
    world.filter = lambda _from, _to, item: (
        not (
            is_word(item, "finalize") or (isinstance(item, Certificate) and item.kind == "finalize")
        )
    )
    world.nodes[0].submit("config/1")
    world.run(300)
    world.nodes[1].submit("later")
    world.run(3_000)
    finish(world, "config/1", "later")
    must({node.core.config.epoch for node in world.nodes} == {1}, "the epoch did not change")


def boundary_not_final(machine: Machine) -> None:
    """12: a boundary block is notarized and for long not final: leaders change, every member loses
    its power in turn, records wait. One block ends the epoch all the same, and the rows of the old
    epoch, put back beside those of the new one, say nothing there (ava #545, #551, #556).
    """
    world = World(1, 4, machine=machine, faults=Faults(delay_ms=20))
    for epoch in (1, 2):
        world.plans[f"config/{epoch}"] = (0, 1, 2, 3)
    world.filter = lambda _from, _to, item: (
        not (
            is_word(item, "finalize") or (isinstance(item, Certificate) and item.kind == "finalize")
        )
    )
    world.nodes[0].submit("config/1")
    world.run(1_000)
    (boundary,) = {node.core.tip.id for node in world.nodes}
    must(world.nodes[0].core.tip.boundary, "no boundary block was notarized")
    views = {node.core.view for node in world.nodes}
    world.nodes[1].submit("later")
    rows: dict[int, dict[tuple[int, int], bytes]] = {}
    for node in world.nodes:
        world.run(4_000)
        node.crash()
        rows[node.index] = dict(node.disk.rows)
        node.start()
    world.run(10_000)
    must(min(node.core.view for node in world.nodes) > max(views) + 1, "no leader changed")
    must({node.core.config.epoch for node in world.nodes} == {0}, "an end that is not final")
    world.filter = lambda *_: True
    world.run(10_000)
    must({node.core.config.epoch for node in world.nodes} == {1}, "the epoch did not end")
    must({node.disk.anchor.id for node in world.nodes} == {boundary}, "another end of the epoch")
    for node in world.nodes:
        node.crash()
        node.disk.rows = rows[node.index] | node.disk.rows
        node.start()
    wait_for(world, world.nodes[2], "after")
    wait_for(world, world.nodes[3], "config/2")
    finish(world, "config/1", "later", "after", "config/2")


def lagging_joiner(machine: Machine, driver: type[Node] = Node) -> None:
    """13, 2.17: a fifth member is decided on and lies dark; a quorum of the others is ready, and
    nothing ends. It comes, catches up as an observer, is ready, and has a vote that counts.
    """
    world = World(1, 5, machine=machine, config=make_config((0, 1, 2, 3)), driver=driver)
    world.plans["config/1"] = (0, 1, 2, 3, 4)
    world.waits.add("config/1")
    joiner = world.nodes[4]
    joiner.crash()
    for i in range(20):
        wait_for(world, world.nodes[i % 4], f"r{i}")
    for i, record in enumerate(("config/1", *(f"ready/1/{k}" for k in range(4)))):
        wait_for(world, world.nodes[i % 4], record)
    must({node.core.config.epoch for node in world.nodes} == {0}, "an epoch without its member")
    joiner.start()
    world.run(10_000)
    must(len(joiner.disk.chain) == len(world.nodes[0].disk.chain), "not caught up")
    must(joiner.core.index is None, "a vote before its time")
    wait_for(world, joiner, "ready/1/4")
    world.run(1_000)
    must({node.core.config.epoch for node in world.nodes} == {1}, "the epoch did not begin")
    world.nodes[0].crash()
    world.nodes[0].correct = False
    wait_for(world, joiner, "with its vote")


def leader_is_removed(machine: Machine) -> None:
    """13: who leads now is taken out, again and again, from five down to two."""
    members = list(range(5))
    world = World(1, 5, machine=machine, faults=Faults(delay_ms=20))
    for epoch in range(1, 4):
        config = world.nodes[members[0]].core.config
        view = world.nodes[members[0]].core.view
        leader = next(i for i in members if key_of(i) == config.node_keys[config.leader(view)])
        members.remove(leader)
        name = f"config/{epoch}"
        world.plans[name] = tuple(members)
        world.waits.add(name)
        wait_for(world, world.nodes[leader], name)
        for i in members[: default_quorum(len(members))]:
            wait_for(world, world.nodes[i], f"ready/{epoch}/{i}")
        world.run(1_000)
        must({world.nodes[i].core.config.epoch for i in members} == {epoch}, "no new epoch", epoch)
        must(world.nodes[leader].core.index is None, "a vote after its time", leader)
        wait_for(world, world.nodes[members[0]], f"after {epoch}")


def rotated_key(machine: Machine) -> None:
    """13: a member changes its key at a boundary, and everybody restarts around it. The old key is
    nobody's then: with another member away, the new one's word is needed, and is there.
    """
    world = World(1, 4, machine=machine, faults=Faults(delay_ms=20))
    world.plans["config/1"] = (0, 1, 2, 103)
    world.waits.add("config/1")
    hero, old = world.nodes[3], key_of(3)
    hero.crash()
    hero.keys = (old, key_of(103))
    hero.start()
    wait_for(world, world.nodes[0], "config/1")
    for i in (0, 1, 2):
        wait_for(world, hero, f"ready/1/{i}")
    must(hero.core.voting and hero.key == old, "the old key works until the boundary")
    wait_for(world, hero, "ready/1/103")
    world.run(1_000)
    must({node.core.config.epoch for node in world.nodes} == {1}, "the epoch did not begin")
    for keys in ((old, key_of(103)), (key_of(103),)):
        hero.crash()
        hero.keys = keys
        hero.start()
        world.run(5_000)
        must(hero.core.voting and hero.key == key_of(103), "no member any more")
    world.nodes[1].crash()
    world.nodes[1].correct = False
    wait_for(world, world.nodes[0], "with the new key")


def notarized_only(machine: Machine) -> None:
    """8: a tip that is notarized and never finalized in its view, and then no work."""
    world = World(1, 4, machine=machine)
    world.filter = lambda _from, _to, item: (
        not (isinstance(item, Vote) and item.kind == "finalize" and item.view == 1)
    )
    world.nodes[0].submit("a")
    world.run(20_000)
    must({len(node.disk.chain) for node in world.nodes} == {2}, "the tip was not proposed again")
    must_be_silent(world)


def known_to_some(machine: Machine) -> None:
    """18, R8e: two members hold a record, and neither leads."""
    world = World(1, 4, machine=machine)
    leaders = world.genesis_config.leaders
    holders = [by_member(world, leaders[2]), by_member(world, leaders[3])]
    world.filter = lambda _from, to, item: not isinstance(item, str) or to in holders
    holders[0].submit("a")
    world.run(15_000)
    must({len(node.disk.chain) for node in world.nodes} == {2}, "holders were left alone")


def split_views(machine: Machine) -> None:
    """7: for several views some members get the notarize words and others the nullify words."""
    world = World(1, 4, machine=machine, faults=Faults(delay_ms=700))

    def split(_from: Node, to: Node, item: object) -> bool:
        if isinstance(item, Certificate):
            return False
        return not is_word(item, "nullify" if to.index % 2 else "notarize", "finalize")

    world.filter = split
    for i in range(4):
        world.nodes[i].submit(f"r{i}")
    world.run(20_000)
    finish(world, "r0", "r1", "r2", "r3")


def too_few(machine: Machine) -> None:
    """4: c + 1 members are gone: nothing is final, views stand still; all resume, no restart."""
    world = World(1, 4, machine=machine)
    for node in world.nodes[2:]:
        world.cut |= {(node.index, i) for i in range(4)} | {(i, node.index) for i in range(4)}
    world.nodes[0].submit("a")
    world.run(600_000)
    must({len(node.disk.chain) for node in world.nodes} == {1}, "final without a quorum")
    must({node.core.view for node in world.nodes} == {1}, "views drift without a quorum")
    finish(world, "a")


def offline_for_long(machine: Machine) -> None:
    """3, 21: c members away over many blocks and an epoch change; they catch up."""
    world = World(1, 4, machine=machine)
    world.plans["config/1"] = (0, 1, 2, 3)
    world.nodes[3].crash()
    names = [f"r{i}" for i in range(60)]
    for i, name in enumerate([*names[:30], "config/1", *names[30:]]):
        world.after(2_000 * i, world.nodes[i % 3].submit, name)
    world.run(200_000)
    must(len(world.nodes[0].disk.chain) > 40, "no life without one member")
    finish(world, "config/1", *names)


def power_cuts(machine: Machine) -> None:
    """5, 6: all lose power together, at every single persist point of a short run, before it is
    durable and after; then one of them never returns.
    """
    points = every_power_cut(machine, "")
    must(points >= 50, "too few persist points", points)


def power_cuts_at_a_boundary(machine: Machine) -> None:
    """12: the same around the change of an epoch (ava #551, #556)."""
    points = every_power_cut(machine, "config/1")
    must(points >= 50, "too few persist points", points)


def every_power_cut(machine: Machine, config: str) -> int:
    """Cut at the first point, the second, and so on, until the run ends before; gives how many."""
    point = 0
    while True:
        point += 1
        world = World(1, 4, machine=machine, faults=Faults(delay_ms=40, sync_ms=30))
        world.cut_at = point
        if config:
            world.plans[config] = (0, 1, 2, 3)
            world.nodes[3].submit(config)
        for i, at in enumerate((0, 90)):
            world.after(at, world.nodes[i].submit, f"r{i}")
        try:
            world.run(600)
        except PowerCut:
            come_back(world, point)
        else:
            return point - 1


def come_back(world: World, point: int) -> None:
    """All are dark; three or four of them start again."""
    for node in world.nodes:
        node.crash()
    world.run(1_000)
    if point % 3:
        world.nodes[point % 4].correct = False
    for node in world.correct:
        node.start()
    records = {r for node in world.correct for r in node.disk.records}
    must_recover(world, sorted(records))


def lost_disk(machine: Machine) -> None:
    """14: a member loses its disk in the middle of a view, and comes back within its timers."""
    for wiped_ms in range(20, 200, 20):
        world = World(wiped_ms, 4, machine=machine, faults=Faults(delay_ms=60, sync_ms=5))
        for i in range(3):
            world.nodes[i].submit(f"r{i}")
        world.run(wiped_ms)
        world.nodes[2].crash()
        world.nodes[2].wipe()
        world.run(5_000)
        finish(world, "r0", "r1")


def lost_disk_of_two(machine: Machine) -> None:
    """14, 2.20: with two members, the wiped one asks the other."""
    world = World(1, 2, machine=machine)
    world.nodes[0].submit("a")
    world.run(5_000)
    world.nodes[1].crash()
    world.nodes[1].wipe()
    world.run(20_000)
    world.nodes[0].submit("b")
    finish(world, "a", "b")


def cloned_key(machine: Machine) -> None:
    """14, 2.12: two nodes with one key; both stop, and the other members go on."""
    config = make_config((0, 1, 2, 3))
    world = World(1, 4, machine=machine, config=config, kinds={3: Twin})
    twin = Twin(world, 4, machine)
    twin.keys = (key_of(3),)
    world.nodes.append(twin)
    twin.start()
    world.run(10_000)
    for i in range(6):
        world.after(300 * i, world.nodes[i % 3].submit, f"r{i}")
    world.run(20_000)
    kinds = {alarm.kind for index, alarm in world.invariants.alarms if index >= 3}
    must(kinds == {"own-key"}, "a cloned key went unnoticed", kinds)
    finish(world, *(f"r{i}" for i in range(6)))


def skewed_clocks(machine: Machine) -> None:
    """15: clocks are off by seconds; one by an hour."""
    for skews in (
        (0, 1_000, -1_000, 900),
        (0, 0, 0, 5_000),
        (0, 0, 0, 3_600_000),
        (-3_600_000, 0, 0, 0),
    ):
        world = World(1, 4, machine=machine)
        for node, skew in zip(world.nodes, skews, strict=True):
            node.skew_ms = skew
            node.crash()
            node.start()
        for i in range(12):
            world.after(700 * i, world.nodes[i % 4].submit, f"r{i}")
        world.run(60_000)
        must_recover(world, [f"r{i}" for i in range(12)])
        honest = sorted(world.now + skew for skew in skews)[2]
        last = world.nodes[1].disk.chain[-1].info.time_ms
        must(last <= honest + 2_000, "block time ran away", last - honest)


def flood(machine: Machine) -> None:
    """20: words for views far away, forged ones, certificates of nobody; memory stays bounded."""
    hands = Hands(machine)
    for view in range(2, 800):
        hands.hero.receive_fact(hands.hero, hands.word("nullify", hands.others[0], view))
    hands.world.run(1_000)
    hands.world.invariants.bounded()
    must(hands.hero.core.view == 1, "one member moved a view alone")


def growing(machine: Machine) -> None:
    """13, 2.20: 1 -> 2 -> 3 -> 4 members and back, with a restart of everybody in between."""
    world = World(1, 5, machine=machine, config=make_config((0,)))
    sizes = ((0, 1), (0, 1, 2), (0, 1, 2, 3), (1, 2, 3), (1, 2, 3, 4))
    for i, members in enumerate(sizes):
        world.plans[f"config/{i}"] = members
        world.nodes[members[0]].submit(f"config/{i}")
        world.nodes[members[0]].submit(f"r{i}")
        world.run(9_000)
        must({n.core.config.epoch for n in world.nodes} == {i + 1}, "an epoch did not begin", i)
        for node in world.nodes:
            node.crash()
            node.start()
    finish(world, *(f"r{i}" for i in range(5)), *(f"config/{i}" for i in range(5)))


def poison(machine: Machine) -> None:
    """R11: what a quorum notarizes and one member finds invalid is never voted for; final stops
    it.
    """
    hands = Hands(machine)
    hands.world.invariants.expected |= {"invalid-notarized", "invalid-final"}
    info = hands.propose(1, hands.world.genesis, 0, "poison").info
    must(hands.said("notarize", 1) is None, "a vote for an invalid block")
    must(hands.said("nullify", 1) is not None, "an invalid proposal is answered with nullify")
    hands.tell(hands.certificate("notarize", 1, info))
    must(hands.said("finalize", 1) is None, "finalized an invalid block")
    hands.tell(hands.certificate("finalize", 1, info))
    must(not hands.hero.core.voting, "a node went on after an invalid block became final")
    kinds = [alarm.kind for _, alarm in hands.world.invariants.alarms]
    must(kinds == ["invalid-notarized", "invalid-final"], "no alarm", kinds)


def leader_dies(machine: Machine) -> None:
    """2: the leader dies alone at every persist point of its turn: before its proposal, during it,
    after its own notarize. The others skip it, nothing is lost, and it comes back.
    """
    point = 0
    while True:
        point += 1
        world = World(1, 4, machine=machine, faults=Faults(delay_ms=40, sync_ms=30))
        leader = by_member(world, world.genesis_config.leaders[0])
        world.cut_at, world.cut_node = point, leader
        others = [node for node in world.nodes if node is not leader]
        others[0].submit("a")
        leader.submit("b")
        try:
            world.run(2_000)
        except PowerCut:
            leader.crash()
        else:
            break
        world.run(8_000)
        must(all("a" in node.disk.included for node in others), "stuck without a leader", point)
        leader.start()
        finish(world, "a", *(("b",) if "b" in leader.disk.records else ()))
    must(point > 10, "too few persist points", point)


def idle_and_wake(machine: Machine) -> None:
    """3.5: five minutes of silence, then one record: final within 2 s with all up, and within
    T_prop + 2 s when the leader has just died and nobody knows it.
    """
    for n in (1, 2, 3, 4, 7):
        world = World(n, n, machine=machine, faults=Faults(delay_ms=20))
        wait_for(world, world.nodes[0], "a")
        world.run(10_000)
        said: set[str] = set()

        def listen(_from: Node, _to: Node, item: object, said: set[str] = said) -> bool:
            said.add(type(item).__name__)
            return True

        world.filter = listen
        must_be_silent(world, 300_000)
        must(said <= {"Status", "Summary"}, "more than heartbeats in idle time", n, said)
        waited = wait_for(world, world.nodes[-1], "b")
        must(waited <= 2_000, "slow to wake up", n, waited)
        world.run(60_000)
        if world.genesis_config.offline:
            leader = by_member(world, world.genesis_config.leader(world.nodes[0].core.view))
            leader.crash()
            waited = wait_for(world, next(x for x in world.nodes if x is not leader), "c")
            must(waited <= 2_800, "slow to wake up without the leader", n, waited)


def every_kind_of_link(machine: Machine) -> None:
    """3.6: sizes by networks; nothing heals, and all accepted records become final everywhere."""
    networks = {
        "LAN": Faults(delay_ms=2, sync_ms=2),
        "WAN": Faults(delay_ms=80, sync_ms=10),
        "lossy": Faults(loss=300, double=100, delay_ms=60),
        "hubs": Faults(delay_ms=20),
        "one way": Faults(delay_ms=20),
    }
    for n in (1, 2, 3, 4, 5, 6, 7, 10, 16):
        for name, faults in networks.items():
            world = World(n, n, machine=machine, faults=faults)
            every = [(a, b) for a in range(n) for b in range(n) if a != b]
            if name == "hubs":
                hubs = range(world.genesis_config.offline + 1)
                world.cut = {(a, b) for a, b in every if a not in hubs and b not in hubs}
            elif name == "one way" and n > 2:
                world.cut = {(0, 1), (n - 1, 0)}
            for i in range(3):
                world.nodes[i % n].submit(f"r{i}")
            must_recover(world, ["r0", "r1", "r2"])


def burst_and_trickle(machine: Machine) -> None:
    """1: two thousand records at once, then one a second; each is final within its bound."""
    world = World(1, 4, machine=machine, faults=Faults(delay_ms=20))
    for i in range(2_000):
        world.nodes[i % 4].mem.write(f"b{i}", world.configs)
        world.nodes[i % 4].disk.write(f"b{i}", world.configs)
    world.nodes[0].submit("go")
    must_recover(world, [f"b{i}" for i in range(2_000)])
    waits = []
    for i in range(20):
        waits.append(wait_for(world, world.nodes[i % 4], f"t{i}"))
        world.run(1_000)
    must(max(waits) <= 500, "a record waits long in quiet times", waits)


def equivocation_of_every_shape(machine: Machine) -> None:
    """9: one proposal to k members and another to the rest, for every k: at most one of them is
    notarized, evidence is kept by whoever saw both, and the others go on.
    """
    for k in range(4):
        world = World(k, 4, machine=machine, faults=Faults(delay_ms=10))
        config = world.genesis_config
        liar = by_member(world, config.leaders[0])
        liar.crash()
        liar.correct = False
        others = [node for node in world.nodes if node is not liar]
        others[2].submit("a")
        # Not by chance, through what members offer each other again.
        world.filter = lambda _from, _to, item: not isinstance(item, Summary)
        signer = config.index_of(liar.key) or 0
        for name, peers in (("x", others[:k]), ("y", others[k:])):
            body = make_body(world.genesis, 1, 0, world.now + 1, (name,), config)
            message = signed_bytes(config, "propose", 1, 1, body.info.id)
            vote = Vote("propose", 0, 1, 1, body.info.id, signer, sign(liar.key, message))
            for peer in peers:
                world.send(liar, peer, (body, Proposal(vote, None, ())))
        world.run(500)
        seen = {evidence.first.signer for evidence in world.invariants.evidence}
        must(seen == (set() if k in (0, 3) else {signer}), "evidence", k, seen)
        world.filter = lambda *_: True
        must_recover(world, ["a"])


def invalid_blocks(machine: Machine, driver: type[Node] = Node) -> None:
    """R8c, R9: a leader proposes what no rule admits: a record that stands in a block already, one
    twice, an invalid one, none at all. Its turn is over at once, and nothing of it becomes final.
    """
    for records in (("poison",), ("old",), ("x", "x"), ()):
        world = World(1, 4, machine=machine, driver=driver, faults=Faults(delay_ms=10))
        config = world.genesis_config
        wait_for(world, by_member(world, config.leaders[0]), "old")
        world.run(1_000)
        liar = by_member(world, config.leaders[1])
        tip = liar.core.tip
        liar.crash()
        liar.correct = False
        body = make_body(tip, 2, 1, world.now + 1, records, config)
        signer = config.index_of(liar.key) or 0
        message = signed_bytes(config, "propose", 2, 2, body.info.id)
        vote = Vote("propose", 0, 2, 2, body.info.id, signer, sign(liar.key, message))
        for peer in world.correct:
            world.send(liar, peer, (body, Proposal(vote, None, ())))
        world.run(100)
        waited = wait_for(world, world.correct[0], "new")
        must(waited < 500, "an invalid block cost time", waited)
        views = {node.disk.chain[-1].info.view for node in world.correct}
        must(views == {3}, "an invalid block was voted for", views)


def foreign_certificates(machine: Machine) -> None:
    """10: a skip or a parent certificate that is short, foreign or of another chain moves nobody,
    and what comes with it is not believed either.
    """
    hands = Hands(machine)
    right = hands.certificate("nullify", 1)
    stranger = sign(key_of(9), b"")
    spoiled = [
        change(right, signatures=right.signatures[:2], signers=right.signers & right.signers - 1),
        change(right, signatures=(stranger, *right.signatures[1:])),
        change(right, signatures=(right.signatures[0],) * 3),
        change(right, config_hash=bytes(32)),
        change(right, epoch=1),
    ]
    genesis = hands.world.genesis
    body = make_body(genesis, 2, 0, hands.world.now + 1, ("a",), hands.config)
    vote = hands.word("propose", hands.config.leader(2), 2, body.info)
    for cert in spoiled:
        hands.tell((body, Proposal(vote, None, (cert,))))
        must(hands.hero.core.view == 1, "moved by a forged certificate", cert)
    hands.tell((body, Proposal(vote, None, (right,))))
    must(hands.said("notarize", 2) is not None, "a good skip got no vote")


class Miser(Withholder):
    """Gives its body to the first member only."""

    def send(self, effect: Send) -> None:
        super().send(effect)
        for body in [self.bodies[p.vote.block] for p in effect.facts if isinstance(p, Proposal)]:
            self.world.send(self, self.world.peers(self)[0], (body,))


def withheld_body(machine: Machine) -> None:
    """19: a leader gives its body to one member only: the others fetch it there. To nobody: they
    nullify.
    """
    for kind in (Miser, Withholder):
        leader = by_member(World(1, 4), make_config((0, 1, 2, 3)).leaders[0]).index
        faults = Faults(delay_ms=10)
        world = World(1, 4, machine=machine, faults=faults, kinds={leader: kind})
        waited = wait_for(world, world.correct[0], "a")
        must(waited <= 1_200, "a withheld block costs more than a silent leader", kind, waited)
        world.run(2_000)
        views = [node.disk.chain[1].info.view for node in world.correct]
        must(views == [1 if kind is Miser else 2] * 3, "whose block it is", views)
        finish(world, "a")


def restored_backup(machine: Machine) -> None:
    """14: a copy of a while ago in the place of a disk, at every moment of a short run; the member
    is silent until it knows how far it went, and is never accused.
    """
    for copied_ms in (0, 60, 120, 240):
        for lost_ms in (30, 90, 180, 400):
            world = World(1, 4, machine=machine, faults=Faults(delay_ms=60, sync_ms=5))
            for i in range(6):
                world.after(80 * i, world.nodes[i % 4].submit, f"r{i}")
            world.run(copied_ms)
            copy = world.nodes[2].disk.copy()
            world.run(lost_ms)
            world.nodes[2].crash()
            world.nodes[2].replace(copy)
            world.run(5_000)
            finish(world, *(r for node in world.nodes for r in node.disk.records))


def lost_in_a_later_epoch(machine: Machine) -> None:
    """14, 13: a disk that is lost, or an old copy in its place, knows of no epoch in which its
    member had somebody to ask: of none that listed it, or of those when it was alone. It is silent
    from where it was a member of several on, and asks there.
    """
    for index in (3, 0):
        world = World(index, 4, machine=machine, config=make_config((0,)))
        world.plans["config/1"] = (0, 1, 2, 3)
        copies = [node.disk.copy() for node in world.nodes]
        wait_for(world, world.nodes[0], "config/1")
        wait_for(world, world.nodes[1], "a")
        hero = world.nodes[index]
        hero.crash()
        hero.replace(copies[index])
        if index == 0:
            # It is not silent when alone; then the certificates of those days show its own words.
            world.invariants.expected |= {"own-key"}
        while hero.core.config.epoch == 0:
            world.run(10)
        must(not hero.core.voting, "a lost journal votes in a later epoch", index)
        world.run(10_000)
        must(hero.core.voting, "still in quarantine", index)
        finish(world, "config/1", "a")


def damaged_rows(machine: Machine) -> None:
    """3.3: a bit flips in the journal, or a saved block is gone, while the node is down: quarantine
    or another copy, and no accusation.
    """
    for at_ms in range(20, 260, 20):
        world = World(at_ms, 4, machine=machine, faults=Faults(delay_ms=60, sync_ms=5))
        for i in range(4):
            world.nodes[i].submit(f"r{i}")
        world.run(at_ms)
        node = world.nodes[at_ms // 20 % 4]
        node.crash()
        node.disk.flip(world.rng)
        node.start()
        world.run(5_000)
        finish(world, *(r for other in world.nodes for r in other.disk.records))


def several_away(machine: Machine) -> None:
    """3: c of five and of seven away for long, and back one by one."""
    for n in (5, 7):
        world = World(1, n, machine=machine)
        away = world.nodes[: world.genesis_config.offline]
        for node in away:
            node.crash()
        for i in range(20):
            world.after(20_000 * i, world.nodes[-1 - i % 3].submit, f"r{i}")
        world.run(420_000)
        must(len(world.nodes[-1].disk.chain) == 21, "no life without c members")
        for node in away:
            node.start()
            world.run(5_000)
            must(len(node.disk.chain) == 21, "not caught up", node.index)
        finish(world, *(f"r{i}" for i in range(20)))


def silent_leaders(machine: Machine) -> None:
    """2: c leaders are mute; and with presence known, their turns cost next to nothing."""
    world = World(1, 7, machine=machine, kinds={0: Mute, 1: Mute})
    for i in range(20):
        world.after(2_000 * i, world.nodes[2 + i % 5].submit, f"r{i}")
    world.run(60_000)
    must_recover(world, [f"r{i}" for i in range(20)])


def many_members(machine: Machine) -> None:
    """Sizes 10, 16 and 31, with c members gone."""
    for n in (10, 16, 31):
        world = World(1, n, machine=machine)
        gone = world.nodes[: world.genesis_config.offline]
        for node in gone:
            node.crash()
            node.correct = False
        for i in range(3):
            world.nodes[-1 - i].submit(f"r{i}")
        world.run(3_000)
        must_recover(world, ["r0", "r1", "r2"])


def hub_only(machine: Machine) -> None:
    """2.14: no two members reach each other but through relays of facts by anti-entropy."""
    world = World(1, 5, machine=machine)
    world.cut = {(a, b) for a in range(5) for b in range(5) if a != b and 0 not in (a, b)}
    for i in range(5):
        world.nodes[i].submit(f"r{i}")
    world.run(120_000)
    must_recover(world, [f"r{i}" for i in range(5)])


def liars(machine: Machine) -> None:
    """9, 10, 19: as many liars as b allows, from n = 4 to n = 10."""
    for n, bad in ((4, (0,)), (7, (1, 4)), (10, (0, 3, 7))):
        world = World(n, n, machine=machine, kinds=dict.fromkeys(bad, Liar))
        names = [f"r{i}" for i in range(10)]
        for i, name in enumerate(names):
            world.after(500 * i, world.correct[i % len(world.correct)].submit, name)
        world.run(15_000)
        finish(world, *names)


def too_many_liars(machine: Machine) -> None:
    """23: more than b lie. A fork is possible; whoever sees both sides stops, with the proof."""
    for again in (False, True):
        hands = Hands(machine)
        hands.world.invariants.expected.add("safety")
        genesis = hands.world.genesis
        info = hands.propose(1, genesis, 0, "a").info
        hands.tell(hands.certificate("finalize", 1, info))
        must(hands.hero.core.final.id == info.id, "F commits")
        sibling = make_body(genesis, 2, 0, hands.world.now, ("b",), hands.config).info
        proof = hands.certificate("finalize", 2, sibling)
        if again:
            child = make_body(sibling, 3, 2, hands.world.now + 1, ("c",), hands.config)
            hands.tell((child,))
            proof = hands.certificate("finalize", 3, child.info)
        hands.tell(proof)
        must(not hands.hero.core.voting, "a node votes on after a fork", again)
        alarm = hands.world.invariants.alarms[-1][1]
        must(alarm.kind == "safety" and proof in alarm.proof, "no proof of the fork", again)
        # The first block was final in view 1; the other history must have passed it over.
        other = [hands.certificate("nullify", 1), proof]
        final = hands.certificate("finalize", 1, info)
        guilty = {index for index, *_pair in contradicting([final], other)}
        must(len(guilty) >= 2 * hands.config.q - hands.config.n, "too few are named", guilty)
        must(guilty <= set(hands.others), "a correct member is named", guilty)


def two_certificates(machine: Machine) -> None:
    """3, 4: certificates that exclude each other are the proof that too many lie."""
    genesis, config = World(1, 4).genesis, make_config((0, 1, 2, 3))
    one, two = (make_body(genesis, 1, 0, genesis.time_ms + 1, (x,), config).info for x in "ab")
    pairs: tuple[tuple[tuple[Kind, BlockInfo | None], tuple[Kind, BlockInfo | None]], ...] = (
        (("notarize", one), ("notarize", two)),
        (("notarize", one), ("finalize", two)),
        (("finalize", one), ("nullify", None)),
        (("nullify", None), ("finalize", one)),
    )
    for first, second in pairs:
        hands = Hands(machine)
        hands.world.invariants.expected.add("safety")
        hands.world.invariants.counting = False
        for kind, info in (first, second):
            hands.tell(hands.certificate(kind, 1, info))
        must(not hands.hero.core.voting, "no stop", first, second)


def unhealthy_clock(machine: Machine) -> None:
    """R8g: a leader whose clock is off gives its turn away at once."""
    world = World(1, 4, machine=machine)
    leader = by_member(world, world.genesis_config.leaders[0])
    leader.batch([Health(False, leader.now)])
    leader.submit("a")
    world.run(500)
    must({len(node.disk.chain) for node in world.nodes} == {2}, "waited for a sick leader")
    must(world.nodes[0].disk.chain[1].info.view == 2, "a sick leader led")


def words_of_the_past(machine: Machine) -> None:
    """12: a word of the epoch before is answered with what ended it, and moves nothing."""
    world = World(1, 4, machine=machine)
    world.plans["config/1"] = (0, 1, 2, 3)
    world.nodes[0].submit("config/1")
    world.run(5_000)
    node = world.nodes[0]
    must(node.core.config.epoch == 1, "the epoch did not change")
    before = node.core.summary()
    sent: list[object] = []

    def listen(sender: Node, _to: Node, item: object) -> bool:
        if sender is node:
            sent.append(item)
        return True

    world.filter = listen
    config = world.genesis_config
    signer = config.index_of(world.nodes[1].key) or 0
    message = signed_bytes(config, "nullify", 2, 0, NO_BLOCK)
    old = Vote("nullify", 0, 2, 0, NO_BLOCK, signer, sign(world.nodes[1].key, message))
    node.receive_fact(world.nodes[1], old)
    world.run(500)
    certs = [item for item in sent if isinstance(item, Certificate)]
    must([cert.kind for cert in certs] == ["finalize"], "no answer to a word of the past", sent)
    must(node.core.summary() == before, "a word of the past moved something")


def heartbeats_of_the_dead(machine: Machine) -> None:
    """2.10: old heartbeats of a dead member, sent again and again, do not make it present: its
    turns cost one second once, and nothing from then on.
    """
    world = World(1, 4, machine=machine, faults=Faults(delay_ms=20))
    dead = by_member(world, world.genesis_config.leaders[1])
    beats: list[Status] = []

    def listen(sender: Node, _to: Node, item: object) -> bool:
        if sender is dead and isinstance(item, Status):
            beats.append(item)
        return True

    world.filter = listen
    world.run(60_000)
    dead.crash()
    dead.correct = False
    living = world.correct

    def replay(number: int) -> None:
        for node in living:
            node.receive_fact(living[0], beats[number % len(beats)])
        world.after(50, replay, number + 1)

    replay(0)
    waits = [wait_for(world, living[i % 3], f"r{i}") for i in range(12)]
    # The others need a quarter of a second with links like these.
    must(max(waits) <= 1_500, "a silent member costs more than a second", waits)
    must(sum(wait > 500 for wait in waits) <= 1, "a silent member costs time again", waits)


def reports_of_a_quarantine(machine: Machine) -> None:
    """2.12: one that lost its disk needs r reports, each of a view that certificates justify: a
    liar who says that nothing has happened yet does not make it speak a second time.
    """
    hands = Hands(machine)
    parent = hands.world.genesis
    certs = []
    for view in (1, 2):
        parent = hands.propose(view, parent, view - 1, f"r{view}").info
        certs.append(hands.certificate("notarize", view, parent))
        hands.tell(certs[-1])
    hands.propose(3, parent, 2, "first")
    must(hands.said("notarize", 3) is not None, "a good proposal got no vote")
    hands.hero.crash()
    hands.hero.wipe()
    hands.world.run(5_000)
    liar, other = hands.others[:2]
    hands.tell(hands.status(liar, 1))
    must(not hands.hero.core.voting, "one report ended a quarantine")
    hands.tell(hands.status(other, 3))
    must(not hands.hero.core.voting, "a report that no certificate justifies was counted")
    hands.tell(*certs, hands.status(other, 3))
    must(hands.hero.core.voting, "r reports did not end the quarantine")
    hands.propose(3, parent, 2, "second")
    must(hands.said("notarize", 3) is None, "a second word in a view")


def floor_across_an_epoch(machine: Machine) -> None:
    """2.12, 3.8 (ii): a member alone saw the end of the epoch, spoke in the first view of the next
    one, and lost its disk. Whom it asks is still in the old epoch, and cannot tell it. It must not
    speak in that view again.
    """
    world = World(1, 4, machine=machine, faults=Faults(delay_ms=10))
    world.plans["config/1"] = (0, 1, 2, 3)
    after = make_config((0, 1, 2, 3), epoch=1).leaders[0]
    hero = by_member(world, after)
    late: list[tuple[Node, Node, object]] = []

    def only_to_hero(sender: Node, to: Node, item: object) -> bool:
        end = (isinstance(item, Vote) and item.kind == "finalize") or (
            isinstance(item, Certificate) and item.kind == "finalize"
        )
        epoch = item[1].vote.epoch if isinstance(item, tuple) and len(item) == 2 else 0
        new = sender is hero and (epoch or getattr(item, "epoch", 0))
        if new and not isinstance(item, Status | Summary):
            late.append((sender, to, item))
        return (not end or (to is hero and not hero.lost)) and not new

    world.filter = only_to_hero
    others = [node for node in world.nodes if node is not hero]
    others[0].submit("config/1")
    world.run(400)
    must(hero.core.config.epoch == 1, "the hero did not see the end of the epoch")
    hero.submit("first")
    world.run(100)
    must(bool(late), "the hero said nothing in the new epoch")
    hero.crash()
    hero.wipe()
    must({node.core.config.epoch for node in others} == {0}, "the others know the end")
    for _ in range(400):
        world.run(50)
        if hero.core.voting:
            break
    must(hero.core.voting and hero.core.config.epoch == 0, "not out of quarantine in the old one")
    world.filter = lambda *_: True
    hero.submit("second")
    for wait_ms in range(0, 3_000, 10):
        for sender, to, item in late:
            world.after(wait_ms, world.deliver, sender, to, item)
    world.run(10_000)
    must({node.core.config.epoch for node in world.nodes} == {1}, "the epoch did not end")
    finish(world, "config/1", "second")


def wait_for(world: World, node: Node, record: str) -> int:
    """How long a record takes to be final at all who are up."""
    start = world.now
    node.submit(record)
    up = [other for other in world.correct if other.up]
    while not all(record in other.disk.included for other in up):
        must(world.now < start + 60_000, "not final", record)
        world.run(10)
    return world.now - start


def floor_of_a_quarantine(machine: Machine) -> None:
    """14, 2.12: after a lost disk a member is silent in views 1 and 2 of the next epoch, if that
    one may have begun before the loss, and of no later one: there it is needed again.
    """
    world = World(1, 4, machine=machine)
    for epoch in (1, 2):
        world.plans[f"config/{epoch}"] = (0, 1, 2, 3)
    world.nodes[0].submit("a")
    world.run(2_000)
    world.nodes[3].crash()
    world.nodes[3].wipe()
    world.run(10_000)
    must(world.nodes[3].core.voting, "still in quarantine")
    for epoch in (1, 2):
        # Views go on, past the floor, before the epoch ends.
        for i in range(4):
            wait_for(world, world.nodes[i], f"e{epoch}-{i}")
        wait_for(world, world.nodes[0], f"config/{epoch}")
        world.run(2_000)
    must({node.core.config.epoch for node in world.nodes} == {2}, "the epochs did not change")
    # Now that another one is gone, no quorum is without the one that lost its disk.
    world.nodes[2].crash()
    world.nodes[2].correct = False
    waited = wait_for(world, world.nodes[0], "after")
    must(waited < 10_000, "a floor of long ago", waited)


class Forgetful(Node):
    """Its bodies are not where they should be, the first two times."""

    lookups = 0

    def check(self, info: BlockInfo) -> Verdict:
        self.lookups += 1
        return "missing" if self.lookups <= 2 else super().check(info)


def lost_body(machine: Machine) -> None:
    """19: a body that turns out not to be here is fetched again."""
    hands = Hands(machine, Forgetful)
    body = hands.propose(1, hands.world.genesis, 0, "a")
    must(hands.said("notarize", 1) is None, "a vote for a block that is not here")
    hands.tell((body,))
    must(hands.said("notarize", 1) is None, "a vote for a block that is not here")
    hands.tell((body,))
    must(hands.said("notarize", 1) is not None, "no vote for a block that came back")


SCENARIOS: tuple[Callable[[Machine], None], ...] = (
    skip_without_certificate, finalize_after_nullify, nullify_after_finalize, finalize_another,
    equivocating_leader, block_above_boundary, notarized_only, known_to_some, split_views, too_few,
    offline_for_long, power_cuts, power_cuts_at_a_boundary, lost_disk, lost_disk_of_two,
    cloned_key, skewed_clocks, flood, growing, poison, silent_leaders, hub_only, many_members,
    liars, too_many_liars, two_certificates, unhealthy_clock, words_of_the_past, lost_body,
    leader_dies, idle_and_wake, every_kind_of_link, burst_and_trickle, equivocation_of_every_shape,
    invalid_blocks, foreign_certificates, withheld_body, restored_backup, damaged_rows,
    several_away,
    heartbeats_of_the_dead, floor_of_a_quarantine, floor_across_an_epoch,
    reports_of_a_quarantine, lost_in_a_later_epoch, boundary_not_final, lagging_joiner,
    leader_is_removed, rotated_key,
)  # fmt: skip

# The rows of 3.6 that are this world's, and what directs each. `tests/net` has some of them again
# with real processes, `tests/node/test_membership.py` 12 and 13 with real nodes. 16 is for the
# rules and `tests/node`; 17 (parking) is later work (definitions.md 7); 22 is
# `tests/ledger/test_verify.py` and `alliance audit drill`.
MATRIX: dict[int, tuple[Callable[[Machine], None], ...]] = {
    1: (every_kind_of_link, burst_and_trickle),
    2: (leader_dies, silent_leaders, heartbeats_of_the_dead),
    3: (several_away, offline_for_long, many_members),
    4: (too_few,),
    5: (power_cuts,),
    6: (power_cuts, leader_dies),
    7: (split_views,),
    8: (notarized_only,),
    9: (equivocating_leader, equivocation_of_every_shape, liars),
    10: (skip_without_certificate, foreign_certificates),
    11: (finalize_after_nullify,),
    12: (block_above_boundary, boundary_not_final, power_cuts_at_a_boundary, words_of_the_past),
    13: (growing, lagging_joiner, leader_is_removed, rotated_key),
    14: (lost_disk, lost_disk_of_two, restored_backup, damaged_rows, cloned_key,
         reports_of_a_quarantine, floor_of_a_quarantine, floor_across_an_epoch,
         lost_in_a_later_epoch),
    15: (skewed_clocks, unhealthy_clock),
    18: (known_to_some,),
    19: (withheld_body, lost_body),
    20: (flood,),
    21: (offline_for_long, growing),
    23: (too_many_liars, two_certificates),
}  # fmt: skip
