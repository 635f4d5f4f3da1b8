"""A node process with one fault, for tests only.

clock MS    its wall clock is so many milliseconds ahead
wall MS     the time of the whole process is, with which it signs its requests, too
liar 0      it proposes two blocks in each of its turns: one to half of the others, one to the rest
room PAGES  its database may grow by so many pages, until the file `room` appears at home
"""

import threading
import time
from pathlib import Path

import msgspec
import uvicorn

from ledger import consensus as agree
from ledger.encoding import encode_bundle
from ledger.records.seal import Seal, SealEntry
from node.clock import Clock, wall_ms
from node.config import Config, load_config
from node.driver import Driver
from node.driver.blocks import Blocks
from node.driver.gossip import Gossip
from node.main import create_app


def main(words: list[str]) -> None:
    """Run the node of a home directory: HOME, then the fault."""
    home, fault, number = words
    config = load_config(Path(home))
    if fault == "clock":
        clock = Clock(0, lambda: wall_ms() + int(number))
        _serve(config, clock)
    elif fault == "wall":
        now, now_ns = time.time, time.time_ns
        time.time = lambda: now() + int(number) / 1000
        time.time_ns = lambda: now_ns() + int(number) * 1_000_000
        _serve(config, None)
    elif fault == "liar":
        Gossip.release = propose_twice  # type: ignore[method-assign]
        _serve(config, None)
    elif fault == "room":
        _serve(config, None, int(number))
    else:
        raise SystemExit(f"no such fault: {fault}")


def _serve(config: Config, clock: Clock | None, pages: int | None = None) -> None:
    app = create_app(config, clock)
    if pages is not None:
        _fill(app.state.driver, pages)
    uvicorn.run(app, host=config.host, port=config.port, log_level="warning", access_log=False)


def _fill(driver: Driver, pages: int) -> None:
    """Leave so many pages. Only SQLite's own limit is touched."""
    store = driver.store

    def limit(count: int) -> None:
        store._connection.connection.driver_connection.execute(f"PRAGMA max_page_count = {count}")

    def make_room() -> None:
        while not (driver.config.home / "room").exists():
            time.sleep(0.1)
        limit(1_000_000)

    limit(store.select("PRAGMA page_count")[0][0] + pages)
    threading.Thread(target=make_room, daemon=True).start()


def propose_twice(gossip: Gossip) -> None:
    """Every new block leaves to half of the others; the rest get another one of the same entries,
    a moment younger, as well sealed and signed.
    """
    outbox, gossip.outbox = gossip.outbox, []
    for to, effect in outbox:
        facts = effect.facts if isinstance(effect, agree.Send) else ()
        first = next((fact for fact in facts if isinstance(fact, agree.Proposal)), None)
        applied = gossip._blocks.built.get(first.vote.block) if first else None
        if first is None or applied is None or applied.seal.seal.view != first.vote.view:
            gossip.outbox = [(to, effect)]
            _RELEASE(gossip)
            continue
        twin = _twin_of(gossip._blocks, applied.seal.seal)
        raws = [*(entry.raw for entry in applied.entries), twin.raw]
        state, view, height = gossip._state, first.vote.view, first.vote.height
        words = agree.signed_bytes(state.machine.config, "propose", view, height, twin.leaf)
        signature = state.keys_in_force().node.sign(words)
        vote = msgspec.structs.replace(first.vote, block=twin.leaf, signature=signature)
        other = msgspec.structs.replace(first, vote=vote)
        for number, name in enumerate(sorted(state.carrier.others())):
            said, bodies = other, [encode_bundle(raws)]
            if number % 2:
                said, bodies = first, gossip._blocks.bundle_of(first.vote.block)
            message = state.message(facts=(said,), blocks=tuple(bodies))
            state.carrier.send(name, message)


_RELEASE = Gossip.release


def _twin_of(blocks: Blocks, seal: Seal) -> SealEntry:
    return blocks.seal(msgspec.structs.replace(seal, time_ms=seal.time_ms + 1))
