"""A node process with one fault, for tests only.

clock MS    its wall clock is so many milliseconds ahead
room PAGES  its database may grow by so many pages, until the file `room` appears at home
"""

import threading
import time
from pathlib import Path

import uvicorn

from node.clock import Clock, wall_ms
from node.config import Config, load_config
from node.driver import Driver
from node.main import create_app


def main(words: list[str]) -> None:
    """Run the node of a home directory: HOME, then the fault."""
    home, fault, number = words
    config = load_config(Path(home))
    if fault == "clock":
        clock = Clock(0, lambda: wall_ms() + int(number))
        _serve(config, clock)
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
