"""`GET /metrics`: the table of names is what is served and what SPEC 10.1 lists; the text obeys
Prometheus' form and conventions; the values are those of the node.
"""

import re
from pathlib import Path

import pytest

from node.durations import BOUNDS_S, Durations
from node.metrics import METRICS, STATUSES, render
from tests.node.test_accusations import Recorder, deliver, lie, wait_for
from tests.support.node import make_config, make_home, running
from tests.support.world import GENESIS_MS, make_world
from tests.tidy.source import ROOT

SAMPLE = re.compile(r"([a-z_:][a-z0-9_:]*)(?:\{([^}]*)\})? (-?[0-9.]+(?:e[+-][0-9]+)?)\Z")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"')
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> tuple[dict[str, str], Samples]:
    """Types and samples of an exposition; strict, and every name announced before its samples."""
    types: dict[str, str] = {}
    samples: Samples = {}
    assert text.endswith("\n")
    helped: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split(" ", 3)[2])
        elif line.startswith("# TYPE "):
            _hash, _type, name, kind = line.split(" ")
            assert name in helped
            assert name not in types
            types[name] = kind
        else:
            found = SAMPLE.match(line)
            assert found, line
            labels = tuple(LABEL.findall(found[2] or ""))
            assert ",".join(f'{k}="{v}"' for k, v in labels) == (found[2] or "")
            stem = re.sub(r"_(bucket|sum|count)\Z", "", found[1])
            assert (types.get(found[1]) or types[stem]) == (
                "histogram" if found[1] not in types else types[found[1]]
            )
            assert (found[1], labels) not in samples
            samples[found[1], labels] = float(found[3])
    return types, samples


def test_the_specification_lists_what_is_served() -> None:
    spec = (ROOT / "ledger" / "SPEC.md").read_text()
    part = spec.partition("**10.1 Metrics.**")[2].partition("\n**10.2")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", part, re.M)
    served = [(m.name, m.kind, ", ".join(m.labels) or "-", m.meaning) for m in METRICS]
    assert [tuple(cell.strip() for cell in row) for row in rows] == served


def test_names_keep_the_conventions() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"(alliance|process)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not re.search(r"_(ms|millis|kb|mb|minutes)\b", metric.name)
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds")
        assert "\n" not in metric.meaning


def test_the_values_of_a_node(tmp_path: Path) -> None:
    world = make_world()
    with running(make_config(make_home(world, tmp_path / "home"))) as driver:
        raws = world.accesses(3)
        driver.submit(raws).result(20)
        driver.submit(raws[:1]).result(20)
        driver.submit([world.access(seq=9, at_ms=GENESIS_MS + 10**12), b"x"]).result(20)
        types, samples = parse(render(driver))
        boot = driver.boot_id.hex()
    assert types == {metric.name: metric.kind for metric in METRICS}
    plain = {name: value for (name, labels), value in samples.items() if not labels}
    assert plain["alliance_height"] == 1
    assert plain["alliance_size"] == plain["alliance_published_size"] == 7
    assert plain["alliance_entries_total"] == 3
    assert plain["alliance_blocks_total"] == 1
    assert plain["alliance_repeated_entries_total"] == 1
    assert plain["alliance_members"] == plain["alliance_quorum"] == 1
    assert plain["alliance_members_present"] == plain["alliance_quorum_present"] == 1
    assert plain["alliance_pending_entries"] == 0
    assert plain["alliance_fsync_duration_seconds_count"] == plain["alliance_fsyncs_total"] == 2
    assert plain["alliance_commit_duration_seconds_count"] == 2
    assert plain["process_resident_memory_bytes"] > 10 << 20
    assert plain["alliance_database_bytes"] > 10_000
    assert plain["alliance_disk_free_bytes"] > 0
    assert samples["alliance_refused_entries_total", (("rule", "S5"),)] == 1
    assert samples["alliance_refused_entries_total", (("rule", "B1.tag"),)] == 1
    for kind in ("propose", "notarize", "finalize"):
        assert samples["alliance_votes_total", (("kind", kind),)] == 1
    states = {state: samples["alliance_status", (("status", state),)] for state in STATUSES}
    assert states == {"ok": 1, "silent": 0, "storage-failing": 0, "broken": 0}
    ((labels, value),) = [(k[1], v) for k, v in samples.items() if k[0] == "alliance_node_info"]
    assert (dict(labels)["boot_id"], dict(labels)["org"], value) == (boot, "h1", 1)


def test_the_others_as_a_node_sees_them(tmp_path: Path) -> None:
    world = make_world(("h1", "h2", "h3", "h4"))
    with running(make_config(make_home(world, tmp_path / "home"))) as driver:
        driver.connect(Recorder())
        driver.carrier.heard = lambda: {"h2": driver.clock.now_ms(), "h3": 0, "h4": 5_000}  # type: ignore[method-assign]
        deliver(driver, world, *lie(world, "h2"))
        wait_for(lambda: bool(driver.accusations))
        _types, samples = parse(render(driver))
    assert samples["alliance_member_heard_timestamp_seconds", (("org", "h4"),)] == 5
    assert samples["alliance_members_present", ()] == 2
    assert samples["alliance_quorum_present", ()] == 0
    assert samples["alliance_evidence", ()] == 1
    assert samples["alliance_alarms_total", (("kind", "evidence"),)] == 1


@pytest.mark.parametrize("seconds", [0.0001, 0.0005, 0.03, 99.0])
def test_buckets_add_up(seconds: float) -> None:
    durations = Durations()
    durations.observe(seconds)
    place = next((i for i, bound in enumerate(BOUNDS_S) if seconds <= bound), len(BOUNDS_S))
    assert durations.counts[place] == 1
    assert sum(durations.counts) == 1
    assert durations.sum_s == seconds
