"""Where the network stands, in plain words: who is silent since when, what is tolerated and what is
left of it now, and who must act (consensus.md 2.1, 2.20; SPEC 8).
"""

from collections import Counter
from typing import Final, NamedTuple

from cli.screen import local_time, say
from node.forms import Health

SILENT_MS: Final = 40_000
"""A member that said nothing for so long is silent; idle members speak every 15 s."""
CLOCK_WARN_MS: Final = 2_000
CLOCK_UNFIT_MS: Final = 5_000
ALARMS: Final = ("safety", "invalid-final", "invalid-notarized", "own-key", "quarantine")


class Standing(NamedTuple):
    """What `/health` comes to. `absent` and `lying` are what may be missing or lie at all."""

    org: str
    n: int
    q: int
    absent: int
    lying: int
    silent: dict[str, int]
    """Members that are not heard, and since when: POSIX ms, 0 where this node never heard them."""
    votes: bool
    """Whether this node itself takes part in decisions."""
    liars: Counter[str]
    """Members that contradicted themselves, and how often that is known."""

    @property
    def at_work(self) -> int:
        """How many members decide together, as this node sees it."""
        return self.n - len(self.silent) - (not self.votes)

    @property
    def spare(self) -> int:
        """How many more may fall silent; negative: so many must come back."""
        return self.at_work - self.q

    @property
    def lies_left(self) -> int:
        """How many more members may lie without harm to anybody."""
        return max(0, self.lying - len(self.liars))


def standing_of(health: Health, now_ms: int) -> Standing:
    """What an answer of `/health` means at a time."""
    members, heard = health["members"], health["heard_ms"]
    return Standing(
        org=health["org"],
        n=members["n"],
        q=members["q"],
        absent=members["may_be_absent"],
        lying=members["may_lie"],
        silent={org: at for org, at in sorted(heard.items()) if now_ms - at > SILENT_MS},
        votes=health["status"] == "ok",
        liars=Counter(sorted(item["org"] for item in health["evidence"])),
    )


def as_value(standing: Standing) -> dict[str, object]:
    """The same for scripts."""
    return {
        "at_work": standing.at_work,
        "evidence_against": dict(standing.liars),
        "may_be_absent": standing.absent,
        "may_lie": standing.lying,
        "more_may_be_absent": max(0, standing.spare),
        "more_may_lie": standing.lies_left,
        "n": standing.n,
        "needed_back": max(0, -standing.spare),
        "q": standing.q,
        "silent_since_ms": standing.silent,
    }


def standing_lines(health: Health, now_ms: int) -> list[str]:
    """Everything that an operator must know and do, the worst last."""
    standing = standing_of(health, now_ms)
    lines = [*_tolerance(standing), *_silent(standing, now_ms), *_left(standing)]
    if health["published"] is None:
        lines.append(say("standing-unpublished", q=standing.q))
    return [*lines, *_own(health), *_lies(health, standing)]


def _tolerance(standing: Standing) -> list[str]:
    """n, q, c, b, and plainly what is not borne."""
    n = standing.n
    lines = [
        say("standing-members", n=n, q=standing.q, absent=standing.absent, lying=standing.lying)
    ]
    if n == 1:
        return [*lines, say("audit-alone")]
    if standing.absent == 0:
        lines.append(say("create-all-needed"))
    if standing.lying == 0:
        lines.append(say("audit-no-liar"))
    return lines


def _silent(standing: Standing, now_ms: int) -> list[str]:
    lines = []
    for org, since in standing.silent.items():
        if since:
            ago = (now_ms - since) // 1000
            line = say("standing-silent", org=org, since=local_time(since), ago=_duration(ago))
        else:
            line = say("standing-never", org=org)
        lines.append(line)
    return lines


def _duration(seconds: int) -> str:
    """As people say it, in one unit."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return say(f"ago-{unit}", count=seconds // size)
    return say("ago-seconds", count=seconds)


def _left(standing: Standing) -> list[str]:
    """What is left of the tolerance now, and who must act."""
    if standing.n == 1:
        return []
    orgs = ", ".join(standing.silent) or "-"
    if standing.spare < 0:
        return [
            say("standing-stopped", count=-standing.spare, orgs=orgs),
            say("standing-gone", absent=standing.absent),
        ]
    if standing.at_work == standing.n:
        return [say("standing-all", n=standing.n)]
    line = "standing-last" if standing.spare == 0 else "standing-spare"
    return [say(line, at_work=standing.at_work, n=standing.n, spare=standing.spare, orgs=orgs)]


def _own(health: Health) -> list[str]:
    """What is wrong with this node itself."""
    lines = []
    if health["status"] != "ok":
        lines.append(say(f"standing-node-{health['status']}"))
    if health["behind"]:
        lines.append(say("standing-behind", count=health["behind"]))
    lines += [
        say(f"standing-alarm-{kind}", count=health["alarms"][kind])
        for kind in ALARMS
        if health["alarms"].get(kind)
    ]
    offset = health["clock_offset_ms"]
    if abs(offset) > CLOCK_WARN_MS:
        name = "unfit" if abs(offset) > CLOCK_UNFIT_MS else "off"
        lines.append(say(f"standing-clock-{name}", offset=-offset))
    return lines


def _lies(health: Health, standing: Standing) -> list[str]:
    """Whom the others caught, and what the committee has to do with it."""
    lines = [
        say("standing-liar", org=org, count=count, left=standing.lies_left, lying=standing.lying)
        for org, count in standing.liars.items()
    ]
    if len(standing.liars) > standing.lying:
        lines.append(say("standing-too-many-liars"))
    return [
        *lines,
        *(say("standing-cosigned", org=org) for org in health["cosigned_otherwise"]),
    ]
