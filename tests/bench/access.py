"""What it costs to know who asks: everything that stands before a route, per request.

Bounds of the issue "Who may see and do what": at most 0.35 ms of CPU for a request, and nothing for
a batch of 1,000 entries beyond one signature (and the hash of its bytes, which it binds).
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from ledger.crypto import verify
from ledger.encoding import encode_bundle
from node.api import BUNDLE_TYPE
from node.door import Door
from node.httpsig import Request as Signed
from node.httpsig import check_body, sign_request
from node.limits import Limits
from node.main import open_driver
from tests.bench.measure import Goal, best_cpu_s
from tests.support.node import make_config, make_home
from tests.support.world import make_world

ROUTE = "POST /api/v1/entries"
COUNT = 500
ENTRIES = 1_000
BOUND_S = 0.000_35


async def _answer(_request: Request) -> Response:
    return Response()


def goals() -> Iterator[Goal]:
    """The lines of the table."""
    world = make_world()
    signer = world.keys["h1"].system
    with tempfile.TemporaryDirectory() as folder:
        driver = open_driver(make_config(make_home(world, Path(folder) / "home")))
        try:
            door = Door(driver)
            # So many requests of one author in so short a time are for a measurement only.
            door.limits = Limits(rate_per_s=10**9, burst=10**9)
            guarded = door.guard(ROUTE, _answer)
            bundle = encode_bundle(world.accesses(ENTRIES))

            def request(body: bytes) -> Request:
                parts = Signed("POST", "127.0.0.1", "/api/v1/entries", "?", BUNDLE_TYPE, body)
                fields = sign_request(parts, signer, int(time.time()), secrets.token_bytes(16))
                headers = [(name.encode(), value.encode()) for name, value in fields.items()]
                return Request(
                    {
                        "type": "http", "method": "POST", "path": "/api/v1/entries",
                        "raw_path": b"/api/v1/entries", "query_string": b"",
                        "headers": [(b"host", b"127.0.0.1"), *headers],
                    }
                )  # fmt: skip

            async def pass_all(waiting: list[Request]) -> None:
                for item in waiting:
                    await guarded(item)

            def pass_batch(item: Request) -> None:
                asyncio.run(pass_all([item]))
                check_body(bundle, item.headers)

            message = secrets.token_bytes(300)
            signature = signer.sign(message)

            def signatures() -> None:
                for _ in range(COUNT):
                    verify(signer.alg, signer.public_key, signature, message)

            def batch_floor() -> None:
                verify(signer.alg, signer.public_key, signature, message)
                sha256(bundle)

            rounds = [[request(b"") for _ in range(COUNT)] for _ in range(5)]
            batches = [request(bundle) for _ in range(5)]
            cost = best_cpu_s(
                {
                    "door": lambda: asyncio.run(pass_all(rounds.pop())),
                    "signatures": signatures,
                    "batch": lambda: pass_batch(batches.pop()),
                    "floor": batch_floor,
                },
                rounds=5,
            )
        finally:
            driver.stop()
    each_us = cost["door"] / COUNT * 1e6
    what = f"who asks, whether and how often ({each_us:.0f} us CPU a request) / 350 us"
    yield Goal("access::request", what, cost["door"] / COUNT / BOUND_S, 1)
    ratio = cost["door"] / cost["signatures"]
    yield Goal("access::request/signature", "the same / its signature alone", ratio, 2)
    each = cost["signatures"] / COUNT
    beyond = (cost["batch"] - cost["floor"]) / (each * ENTRIES)
    what = "a batch of 1,000: beyond one signature and its hash / its own signatures"
    yield Goal("access::batch/n=1000", what, beyond, 0.02)
