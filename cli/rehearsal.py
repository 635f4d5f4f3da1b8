"""`alliance drill`: the procedures of OPERATING.md for bad days, rehearsed by four members with
node processes of their own, with the very commands that operators type. What does not hold ends it.

A member loses its disk and comes back from a copy; the only officer of another one loses its key;
node keys are changed; a member of which nothing is left is taken out and joins again; more members
than may be absent are gone for good, and the others go on in a new chain; of that one there are two
histories, which are compared and shown to a node.
"""

import time
from pathlib import Path
from typing import Final

import typer

from cli.alliance import Old, found_together
from cli.demo import make_scene
from cli.hospitals import Hospital, settle
from cli.operators import ask, decide, into, is_at_work, must, record, refused, until
from cli.options import Keep, Lang
from cli.parting import part
from cli.renewal import change_keys, come_back
from cli.screen import say
from cli.stage import Demo, folder_for

ORGS: Final = ("h1", "h2", "h3", "h4")
GONE: Final = 2
"""So many are gone for good at the end: one more than four members bear."""


def drill(
    context: typer.Context,
    keep: Keep = None,
    lang: Lang = None,  # noqa: ARG001
) -> None:
    """Rehearse what OPERATING.md says of bad days: lost disks, an officer's and a node's keys in
    other hands, more members gone than may be, two histories; four nodes on this machine, gone
    afterwards.
    """
    started = time.monotonic()
    with folder_for("drill", keep) as out:
        scene = make_scene(context, out)
        members = [Hospital(scene, org) for org in ORGS]
        rehearse(scene, members)
        seconds = round(time.monotonic() - started)
        typer.echo("\n" + typer.style(say("drill-done", seconds=seconds), fg="green"))


def rehearse(scene: Demo, members: list[Hospital]) -> None:
    """All procedures, one after the other. Raises `ProofError` (X6.story) where one does not hold,
    or what a command raises.
    """
    found_together(scene, members)
    try:
        scene.step("demo-nodes", count=len(members))
        for member in members:
            member.start()
        lose_disk(scene, members)
        lose_officer(scene, members)
        change_keys(scene, members, members[2])
        come_back(scene, members)
        last = lose_quorum(scene, members)
    finally:
        for member in members:
            member.stop()
    anew = go_on(scene, members[:-1], last)
    try:
        part(scene, anew)
    finally:
        for member in anew:
            member.stop()


# --- procedure 2 ---


def lose_disk(scene: Demo, members: list[Hospital]) -> None:
    """The last member's disk is gone, after more was recorded than its copy holds."""
    lost = members[-1]
    scene.step("drill-disk", org=lost.org)
    record(scene, members[0], "BeforeTheCopy")
    settle(members)
    copy = scene.out / "copy-of-the-database"
    scene.run("backup", copy, "--home", lost.home, home=False)
    record(scene, members[0], "AfterTheCopy")
    settle(members)
    lost.kill()
    for path in lost.home.glob("ledger.db*"):
        path.unlink()
    typer.echo(say("drill-removed", folder=str(lost.home)))
    scene.run("restore", copy, "--home", lost.home, home=False)
    found = {item["check"]: item for item in ask(scene, lost, "doctor")["findings"]}
    must(
        found["journal"].get("rule") == "O11.doubt",
        "a restored database must be in doubt",
        found["journal"],
    )
    lost.start()
    until(lambda: is_at_work(lost), "a restored node must vote again")
    settle(members)
    scene.run("node", "status", "--home", lost.home, home=False)


# --- procedure 1 ---


def lose_officer(scene: Demo, members: list[Hospital]) -> None:
    """The key of the first member's only officer is in other hands."""
    owner, keys = members[0], members[0].home / "keys"
    scene.step("drill-officer", org=owner.org)
    stolen = scene.out / "stolen"
    stolen.mkdir()
    for suffix in ("pem", "json"):
        (keys / f"officer.{suffix}").rename(stolen / f"officer.{suffix}")
    old = ask(scene, owner, "proof", _acceptance(scene, owner))["kid"]
    scene.run_quietly("keys", "new", "officer-2", "--home", owner.home)
    description = scene.out / "officer-2.json"
    words = (
        "keys", "public", "officer-2", "--org", owner.org, "--capacity", "so", "--subject",
        f"{owner.org}-officer-2", "--home", owner.home,
    )  # fmt: skip
    into(scene, description, *words)
    proposer, *others = members[1:]
    by = ("--key", "committee", "--home", proposer.home)
    decide(scene, members, others, "key", "register", description, *by)
    decide(scene, members, others, "key", "revoke", old, "--reason", "lost", *by)
    for suffix in ("pem", "json"):
        (keys / f"officer-2.{suffix}").rename(keys / f"officer.{suffix}")
        (stolen / f"officer.{suffix}").rename(keys / f"stolen.{suffix}")
    record(scene, owner, "WithTheNewKey")
    settle(members)
    forged = ("dataset", "register", "WithTheOldKey", "--openness", "conditional")
    rule = refused(scene, *forged, "--key", "stolen", "--home", owner.home)
    must(rule == "H5", "a revoked key must be refused", rule)
    typer.echo(say("drill-refused", kid=old, rule=rule))


def _acceptance(scene: Demo, member: Hospital) -> str:
    """The index of the record by which a founder's officer accepted the chain: the first one about
    the organisation after the genesis.
    """
    records = ask(scene, member, "subject", f"org:{member.org}")["records"]
    return str(next(found["index"] for found in records if found["index"]))


# --- procedure 5 ---


def lose_quorum(scene: Demo, members: list[Hospital]) -> dict[str, Path]:
    """More members are gone for good than may be absent; the last copies of those who remain."""
    gone, left = members[-GONE:], members[:-GONE]
    scene.step("drill-gone", orgs=", ".join(member.org for member in gone))
    for member in gone:
        member.kill()
    copies = {}
    for member in left:
        copies[member.org] = scene.out / f"last-{member.org}"
        scene.run("export", copies[member.org], "--home", member.home, home=False)
    relation = scene.ask("audit", "compare", *copies.values())["relation"]
    must(relation == "equal", "the last copies must be equal", relation)
    return copies


def go_on(scene: Demo, founders: list[Hospital], last: dict[str, Path]) -> list[Hospital]:
    """Three organisations of the old chain found the new one, with their officers' keys: of one of
    them no more than these keys is left. Gives its members, stopped.
    """
    scene.step("drill-anew", orgs=", ".join(member.org for member in founders))
    first = next(iter(last.values()))
    stage = scene._replace(out=scene.out / "anew")
    stage.out.mkdir()
    anew = [Hospital(stage, member.org) for member in founders]
    kept = {member.org: member.home for member in founders}
    ends = {member.org: last.get(member.org, first) for member in founders}
    found_together(stage, anew, Old(kept, ends))
    copy = stage.out / "copy"
    try:
        for member in anew:
            member.start()
        record(scene, anew[-1], "InTheNewChain")
        settle(anew)
        scene.run("export", copy, "--home", anew[0].home, home=False)
    finally:
        for member in anew:
            member.stop()
    scene.step("drill-seam")
    genesis = stage.out / "genesis"
    seam = scene.look("audit", copy, "--genesis", genesis, "--continues", first)["seam"]
    must(
        seam["checked"] and len(seam["accepted"]) == len(anew),
        "all founders must stand in the old chain, too",
        seam,
    )
    scene.run("audit", copy, "--genesis", genesis, "--continues", first, home=False)
    return anew
