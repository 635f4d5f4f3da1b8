"""`alliance node status` in plain words: who is silent since when, what is tolerated, what is left
of it, who must act; for one to four members and one silent member too many (SPEC 8; consensus.md
2.20).
"""

from typing import Any

import pytest

from cli.screen import set_language
from cli.standing import as_value, standing_lines, standing_of
from ledger.members import default_quorum
from tests.cli.conftest import Chain

NOW = 10_000_000
HEARD = NOW - 1_000
GONE = NOW - 7_200_000


def health(n: int, silent: int = 0, q: int | None = None, **changes: Any) -> dict[str, Any]:
    """What h1 says among n members of which so many are silent; the last one never spoke."""
    quorum = q or default_quorum(n)
    orgs = [f"h{number}" for number in range(2, n + 1)]
    heard = dict.fromkeys(orgs, HEARD)
    heard |= dict.fromkeys(orgs[len(orgs) - silent :], GONE)
    return {
        "alarms": {},
        "behind": 0,
        "clock_offset_ms": 0,
        "cosigned_otherwise": [],
        "evidence": [],
        "heard_ms": heard,
        "members": {
            "n": n,
            "q": quorum,
            "may_be_absent": n - quorum,
            "may_lie": 2 * quorum - n - 1,
        },
        "org": "h1",
        "published": 7,
        "status": "ok",
        **changes,
    }


def said(given: dict[str, Any]) -> str:
    return "\n".join(standing_lines(given, NOW))


@pytest.mark.parametrize(
    ("n", "q", "silent", "words", "value"),
    [
        (1, 1, 0, ["0 may be absent", "0 may lie", "One member alone"], (0, 0, 0)),
        (2, 2, 0, ["0 may be absent", "No member may be absent", "All 2"], (0, 1, 0)),
        (2, 2, 1, ["h2 is silent", "until 1 more", "Silent: h2"], (0, 1, 1)),
        (3, 2, 0, ["1 may be absent", "0 may lie", "No lying member"], (1, 0, 0)),
        (3, 2, 1, ["h3 is silent", "2 of 3 members", "just enough"], (0, 0, 0)),
        (3, 2, 2, ["until 1 more", "Silent: h2, h3"], (0, 0, 1)),
        (3, 3, 0, ["0 may be absent", "2 may lie", "No member may be absent"], (0, 2, 0)),
        (4, 3, 0, ["1 may be absent", "1 may lie", "All 4"], (1, 1, 0)),
        (4, 3, 1, ["h4 is silent", "3 of 4", "just enough"], (0, 1, 0)),
        (4, 3, 2, ["h3 is silent", "h4 is silent", "until 1 more", "gone for good"], (0, 1, 1)),
        (4, 3, 3, ["until 2 more", "Silent: h2, h3, h4"], (0, 1, 2)),
        (7, 5, 1, ["6 of 7", "1 more may be absent"], (1, 2, 0)),
    ],
)
def test_what_is_tolerated_and_what_is_left_of_it(
    n: int, q: int, silent: int, words: list[str], value: tuple[int, int, int]
) -> None:
    given = health(n, silent, q)
    text = said(given)
    assert [word for word in words if word not in text] == []
    found = as_value(standing_of(given, NOW))
    assert (found["more_may_be_absent"], found["more_may_lie"], found["needed_back"]) == value
    assert ("Nothing becomes final" in text) == bool(value[2])


def test_since_when_and_for_how_long() -> None:
    given = health(4, 1)
    assert "(for 2 hours)" in said(given)
    for ago, words in ((45, "45 seconds"), (130, "2 minutes"), (3 * 86_400, "3 days")):
        given["heard_ms"]["h4"] = NOW * 100 - ago * 1_000
        given["heard_ms"] |= {"h2": NOW * 100, "h3": NOW * 100}
        assert words in "\n".join(standing_lines(given, NOW * 100))
    given["heard_ms"]["h4"] = 0
    assert "h4 has not been heard since this node started" in said(given)


def test_a_member_that_spoke_a_moment_ago_is_not_silent() -> None:
    given = health(4)
    given["heard_ms"]["h4"] = NOW - 39_000
    assert "silent" not in said(given)


def test_this_nodes_own_silence_counts() -> None:
    """Three of four answer, but this one does not vote: nothing becomes final."""
    given = health(4, 1, status="silent", alarms={"quarantine": 1})
    text = said(given)
    assert "until 1 more" in text
    assert "This node does not vote now" in text
    assert "quarantine" in text
    assert "stopped by a mistake" in said(health(1, status="broken"))
    assert "disk" in said(health(1, status="storage-failing"))


def test_who_lied_and_how_many_more_may() -> None:
    item = {"epoch": 0, "kind": "notarize", "leaf": None, "org": "h3", "view": 4}
    given = health(4, evidence=[item, {**item, "view": 9}])
    text = said(given)
    assert "h3 has contradicted itself 2 time(s)" in text
    assert "0 of the 1 that may lie are left" in text
    assert "committee" in text
    assert "two histories" not in text
    given["evidence"].append({**item, "org": "h4"})
    assert "two histories are possible" in said(given)
    assert "h2 has cosigned another tree" in said(health(4, cosigned_otherwise=["h2"]))


@pytest.mark.parametrize("kind", ["safety", "invalid-final", "invalid-notarized", "own-key"])
def test_every_alarm_says_what_to_do(kind: str) -> None:
    text = said(health(4, status="silent", alarms={kind: 1}))
    assert "ALARM" in text


def test_the_clock() -> None:
    assert "2500 ms ahead" in said(health(4, clock_offset_ms=-2_500))
    assert "does not propose" in said(health(4, clock_offset_ms=6_000))
    assert "clock" not in said(health(4, clock_offset_ms=1_000))


def test_in_chinese_too() -> None:
    set_language("zh")
    try:
        text = said(health(4, 2, status="silent", published=None, alarms={"safety": 1}))
    finally:
        set_language(None)
    for words in ("法定数 q = 3", "没有应答", "已 2 小时", "警报", "在再有 2 个成员恢复参与之前"):
        assert words in text


def test_a_real_node_and_its_json(chain: Chain) -> None:
    status = chain.json("node", "status")
    assert status["standing"]["n"] == 1
    assert status["standing"]["silent_since_ms"] == {}
    assert "One member alone" in chain("node", "status").out
    found = chain.json("findings")
    assert found["evidence"] == []


def test_evidence_stands_in_the_list_of_findings() -> None:
    from cli.reports import _evidence_line

    item = {"epoch": 0, "kind": "notarize", "leaf": None, "org": "h3", "view": 4}
    assert _evidence_line(item).endswith("not on the chain yet")
    assert "on the chain: abc" in _evidence_line({**item, "leaf": "abc"})


def test_who_is_behind_says_by_how_much() -> None:
    assert "lacks" not in said(health(4))
    assert "lacks 1200 blocks" in said(health(4, behind=1_200))
    assert "lacks" not in said(health(4, behind=None))
