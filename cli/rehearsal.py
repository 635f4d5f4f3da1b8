"""`alliance drill`: the procedures of OPERATING.md for bad days, rehearsed by four members with
node processes of their own, with the very commands that operators type. What does not hold ends it.

A member loses its disk and comes back from a copy; the only officer of another one loses its key;
more members than may be absent are gone for good, and the others go on in a new chain.
"""

import contextlib
import io
import shlex
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.alliance import Old, found_together
from cli.demo import make_scene
from cli.hospitals import SETTLE_S, Hospital, settle
from cli.options import Lang
from cli.screen import say
from cli.stage import Demo, folder_for
from ledger.errors import AllianceError, ProofError

ORGS: Final = ("h1", "h2", "h3", "h4")
GONE: Final = 2
"""So many are gone for good at the end: one more than four members bear."""


def drill(
    context: typer.Context,
    keep: Annotated[
        Path | None, typer.Option(help="A new folder for everything; kept at the end.")
    ] = None,
    lang: Lang = None,  # noqa: ARG001
) -> None:
    """Rehearse what OPERATING.md says of bad days: a lost disk, a lost officer's key, more members
    gone than may be; four nodes on this machine, gone afterwards.
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
        last = lose_quorum(scene, members)
    finally:
        for member in members:
            member.stop()
    go_on(scene, members[:-1], last)


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
    end = time.monotonic() + SETTLE_S
    while (health := lost.health()) is None or health["status"] != "ok":
        must(time.monotonic() < end, "a restored node must vote again", health and health["status"])
        time.sleep(0.2)
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
    _into(scene, description, *words)
    _decide(scene, members, "key", "register", description)
    _decide(scene, members, "key", "revoke", old, "--reason", "lost")
    for suffix in ("pem", "json"):
        (keys / f"officer-2.{suffix}").rename(keys / f"officer.{suffix}")
        (stolen / f"officer.{suffix}").rename(keys / f"stolen.{suffix}")
    record(scene, owner, "WithTheNewKey")
    settle(members)
    forged = ("dataset", "register", "WithTheOldKey", "--openness", "conditional")
    rule = refused(scene, *forged, "--key", "stolen", "--home", owner.home)
    must(rule == "H5", "a revoked key must be refused", rule)
    typer.echo(say("drill-refused", kid=old, rule=rule))


def _into(scene: Demo, file: Path, *words: str | Path) -> None:
    """What a command prints, in a file."""
    arguments = [str(word) for word in words]
    shown = f"$ alliance {shlex.join(arguments)} > {shlex.quote(str(file))}"
    typer.echo(typer.style(shown, fg="cyan"))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        scene.command(arguments)
    file.write_text(said.getvalue(), encoding="utf-8")


def _acceptance(scene: Demo, member: Hospital) -> str:
    """The index of the record by which a founder's officer accepted the chain: the first one about
    the organisation after the genesis.
    """
    records = ask(scene, member, "subject", f"org:{member.org}")["records"]
    return str(next(found["index"] for found in records if found["index"]))


def _decide(scene: Demo, members: list[Hospital], *words: str | Path) -> None:
    """A committee member proposes, the others endorse until it is decided."""
    proposer, *others = members[1:]
    made = ask(scene, proposer, *words, "--key", "committee")
    status = made["decision"]
    for other in others:
        settle(members)
        if status == "PENDING":
            status = ask(scene, other, "endorse", made["leaf"], "--key", "committee")["decision"]
    must(status == "EFFECTIVE", "the committee's decision must take effect", status)
    typer.echo(say("story-effective"))
    settle(members)


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


def go_on(scene: Demo, founders: list[Hospital], last: dict[str, Path]) -> None:
    """Three organisations of the old chain found the new one, with their officers' keys: of one of
    them no more than these keys is left.
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


# --- what all of them do ---


def record(scene: Demo, member: Hospital, name: str) -> None:
    """Something that must not be lost, with the officer's key."""
    words = ("dataset", "register", name, "--openness", "conditional", "--home", member.home)
    scene.run(*words, home=False)


def ask(scene: Demo, member: Hospital, *words: str | Path) -> Any:  # noqa: ANN401
    """The result of a command at a member's home, as JSON."""
    return scene.ask(*words, "--home", member.home)


def refused(scene: Demo, *words: str | Path) -> str:
    """By which rule a command is refused; `-` when it is not."""
    try:
        scene.ask(*words)
    except AllianceError as error:
        return error.rule
    return "-"


def must(holds: bool, what: str, found: Any) -> None:  # noqa: ANN401  # whatever there was
    """Raises `ProofError` (X6.story) where a procedure does not hold."""
    if not holds:
        raise ProofError("X6.story", what=what, found=str(found))
