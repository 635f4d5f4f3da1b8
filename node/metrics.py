"""What `GET /metrics` serves, in Prometheus' text form: one table of names, and one function that
reads the values off a running node. Nothing of a record's content is in it.

The text form is thirty lines here; a registry of counters beside those of the driver would be a
second place for each.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from ledger.rules import RULES_VERSION
from node import VERSION
from node.clock import wall_ms
from node.driver import Driver
from node.durations import BOUNDS_S, Durations

HEARD_MS: Final = 40_000
"""A member that was heard within this time is there; idle members speak every 15 s."""
STATUSES: Final = ("ok", "silent", "storage-failing", "broken")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labelled = Mapping[tuple[str, ...], float]
Value = float | Labelled | Durations


class Metric(NamedTuple):
    """One name that is served. `labels` are in the order of the keys of its values."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    read: Callable[[Driver], Value]


def _counter(name: str) -> Callable[[Driver], Value]:
    return lambda driver: driver.counters[name]


def _labelled(prefix: str) -> Callable[[Driver], Value]:
    """The counters of one kind, by what stands behind the stroke: `refused/S6`."""

    def read(driver: Driver) -> Value:
        counted = driver.counters.copy()
        return {
            (name.partition("/")[2],): counted[name]
            for name in sorted(counted)
            if name.startswith(prefix + "/")
        }

    return read


def _published(driver: Driver) -> Value:
    published = driver.published
    return 0 if published is None else published.tip.size


def _silence(driver: Driver) -> tuple[dict[str, int], int]:
    """When each other member was heard last, and how many are there, this one among them."""
    heard, now_ms = driver.carrier.heard(), wall_ms()
    return heard, 1 + sum(now_ms - at_ms <= HEARD_MS for at_ms in heard.values())


def _quorum(driver: Driver) -> Value:
    _heard, present = _silence(driver)
    return int(present - (driver.status != "ok") >= driver.final.tip.config.q)


def _status(driver: Driver) -> Value:
    return {(status,): int(driver.status == status) for status in STATUSES}


def _resident(_driver: Driver) -> Value:
    """Linux says it in pages; 0 where nothing says it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _database(driver: Driver) -> Value:
    path = driver.config.database_file
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


METRICS: Final = (
    Metric(
        "alliance_node_info",
        "gauge",
        ("boot_id", "org", "rules_version", "version"),
        "1; what runs: another boot_id is another start",
        lambda d: {(d.boot_id.hex(), d.org, str(RULES_VERSION), VERSION): 1},
    ),
    Metric("alliance_status", "gauge", ("status",), "1 for what the node is now", _status),
    Metric(
        "alliance_height",
        "gauge",
        (),
        "height of the newest final block",
        lambda d: d.final.tip.height,
    ),
    Metric(
        "alliance_size",
        "gauge",
        (),
        "entries up to that block, seals among them",
        lambda d: d.final.tip.size,
    ),
    Metric(
        "alliance_published_size",
        "gauge",
        (),
        "entries under the newest head that a quorum cosigned; 0: none known yet",
        _published,
    ),
    Metric(
        "alliance_last_block_timestamp_seconds",
        "gauge",
        (),
        "time of the newest final block",
        lambda d: d.final.tip.time_ms / 1000,
    ),
    Metric("alliance_epoch", "gauge", (), "epoch in force", lambda d: d.final.tip.config.epoch),
    Metric(
        "alliance_view",
        "gauge",
        (),
        "view that agreement is in; stands still while nothing is to be done",
        lambda d: d.consensus_view,
    ),
    Metric("alliance_members", "gauge", (), "members n", lambda d: d.final.tip.config.n),
    Metric("alliance_quorum", "gauge", (), "quorum q", lambda d: d.final.tip.config.q),
    Metric(
        "alliance_members_present",
        "gauge",
        (),
        "members heard within 40 s, this one among them",
        lambda d: _silence(d)[1],
    ),
    Metric(
        "alliance_quorum_present",
        "gauge",
        (),
        "1 while enough members are there for new blocks",
        _quorum,
    ),
    Metric(
        "alliance_member_heard_timestamp_seconds",
        "gauge",
        ("org",),
        "when another member was heard last; 0: never",
        lambda d: {(org,): at / 1000 for org, at in sorted(_silence(d)[0].items())},
    ),
    Metric(
        "alliance_pending_entries",
        "gauge",
        (),
        "entries taken in here and not answered yet",
        lambda d: d.pending,
    ),
    Metric(
        "alliance_waiting_entries",
        "gauge",
        (),
        "entries that wait for a block, others' among them",
        lambda d: d.waiting,
    ),
    Metric(
        "alliance_evidence",
        "gauge",
        (),
        "contradictions of members that are known here",
        lambda d: len(d.accusations),
    ),
    Metric(
        "alliance_clock_offset_seconds",
        "gauge",
        (),
        "how far the members' clocks are ahead of this one",
        lambda d: d.clock_offset_ms / 1000,
    ),
    Metric("alliance_database_bytes", "gauge", (), "database and its write-ahead log", _database),
    Metric(
        "alliance_disk_free_bytes",
        "gauge",
        (),
        "room left on the disk of the home directory",
        lambda d: shutil.disk_usage(d.config.home).free,
    ),
    Metric(
        "alliance_entries_total",
        "counter",
        (),
        "entries that became final since the start",
        _counter("entries"),
    ),
    Metric(
        "alliance_blocks_total",
        "counter",
        (),
        "blocks that became final since the start",
        _counter("blocks"),
    ),
    Metric(
        "alliance_refused_entries_total",
        "counter",
        ("rule",),
        "entries refused, by rule",
        _labelled("refused"),
    ),
    Metric(
        "alliance_repeated_entries_total",
        "counter",
        (),
        "entries that were on the chain already",
        _counter("repeated"),
    ),
    Metric(
        "alliance_busy_requests_total",
        "counter",
        (),
        "requests sent away, for too many waited",
        _counter("busy"),
    ),
    Metric(
        "alliance_votes_total",
        "counter",
        ("kind",),
        "words signed by this node, its proposals and heartbeats among them",
        _labelled("votes"),
    ),
    Metric(
        "alliance_proposals_received_total",
        "counter",
        (),
        "proposals that other members sent, repeated ones among them",
        _counter("proposals_received"),
    ),
    Metric(
        "alliance_nullified_views_total",
        "counter",
        (),
        "views that came to nothing below a final block",
        _counter("nullified_views"),
    ),
    Metric(
        "alliance_rejected_messages_total",
        "counter",
        (),
        "parts of other members' messages that did not verify",
        _counter("rejected"),
    ),
    Metric(
        "alliance_dropped_messages_total",
        "counter",
        (),
        "messages and entries of other members for which there was no room",
        _counter("dropped"),
    ),
    Metric(
        "alliance_catch_up_replaced_total",
        "counter",
        (),
        "members that gave no final blocks in time, or wrong ones, while this node was behind",
        _counter("catch_up_replaced"),
    ),
    Metric(
        "alliance_storage_failures_total",
        "counter",
        (),
        "turns that the disk did not take",
        _counter("storage_failures"),
    ),
    Metric(
        "alliance_alarms_total",
        "counter",
        ("kind",),
        "what an operator must see",
        lambda d: {(kind,): count for kind, count in sorted(d.alarms.copy().items())},
    ),
    Metric("alliance_fsyncs_total", "counter", (), "transactions", lambda d: d.store.fsyncs),
    Metric(
        "alliance_fsync_duration_seconds",
        "histogram",
        (),
        "time until a transaction is durable",
        lambda d: d.store.durations,
    ),
    Metric(
        "alliance_commit_duration_seconds",
        "histogram",
        (),
        "time to make blocks final, from their certificate to the disk",
        lambda d: d.store.commit_durations,
    ),
    Metric("process_resident_memory_bytes", "gauge", (), "memory of the process", _resident),
    Metric(
        "process_cpu_seconds_total",
        "counter",
        (),
        "processor time of the process",
        lambda _d: time.process_time(),
    ),
    Metric(
        "process_start_time_seconds",
        "gauge",
        (),
        "when the node was started",
        lambda d: d.started_ms / 1000,
    ),
)


def render(driver: Driver) -> str:
    """All metrics of a node, in the order of the table."""
    return "".join(line for metric in METRICS for line in _lines(metric, metric.read(driver)))


def _lines(metric: Metric, value: Value) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.meaning}\n# TYPE {metric.name} {metric.kind}\n"
    if isinstance(value, Durations):
        yield from _histogram(metric.name, value)
    elif isinstance(value, Mapping):
        for labels, number in value.items():
            pairs = zip(metric.labels, labels, strict=True)
            shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in pairs)
            yield f"{metric.name}{{{shown}}} {_number(number)}\n"
    else:
        yield f"{metric.name} {_number(value)}\n"


def _histogram(name: str, durations: Durations) -> Iterator[str]:
    counts, total = list(durations.counts), 0
    for bound, count in zip((*BOUNDS_S, "+Inf"), counts, strict=True):
        total += count
        yield f'{name}_bucket{{le="{bound}"}} {total}\n'
    yield f"{name}_sum {_number(durations.sum_s)}\n{name}_count {total}\n"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
