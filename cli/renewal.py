"""Procedure 3 of OPERATING.md on the stage: node keys that others may know are changed while
nothing stops, and a member whose keys are lost with its disk is taken out and comes back.
"""

import shutil
from collections.abc import Sequence

import typer

from cli.hospitals import Hospital, settle
from cli.operators import agree, ask, decide, into, is_at_work, make_ready, must, record, until
from cli.screen import say
from cli.stage import Demo


def change_keys(scene: Demo, members: list[Hospital], owner: Hospital) -> None:
    """The keys of this node may be known to others: it gets new ones."""
    scene.step("drill-keys", org=owner.org)
    old = ask(scene, owner, "keys", "show", "node")["kid"]
    leaf = ask(scene, owner, "node", "rotate")["leaf"]
    settle(members)
    _restart(owner)
    agree(scene, members, members, leaf)
    others = [member for member in members if member is not owner]
    _go_over(scene, [owner, *others[1:]], others)
    # It destroys the old keys when it starts again.
    _restart(owner)
    new = ask(scene, owner, "keys", "show", "node")["kid"]
    must(new != old, "the node must have other keys", new)
    record(scene, owner, "WithOtherNodeKeys")
    settle(members)


def come_back(scene: Demo, members: list[Hospital]) -> None:
    """Nothing is left of the last member's node: the others take it out, and it joins again with
    keys of its own making.
    """
    lost, others = members[-1], members[:-1]
    scene.step("drill-lost", org=lost.org)
    lost.kill()
    shutil.rmtree(lost.home)
    typer.echo(say("drill-nothing-left", folder=str(lost.home)))
    host = others[0]
    decide(scene, others, others, "config", "remove", lost.org, "--home", host.home)
    _go_over(scene, others[1:], others)
    file = scene.out / f"{lost.org}.invite"
    pin = ask(scene, host, "invite", lost.org, "--out", file)["pin"]
    listen = f"127.0.0.1:{lost.peer_port}"
    lost.join(file, "--pin", pin, "--port", str(lost.port), "--listen", listen)
    _register_keys(scene, others, lost)
    part = lost.home / f"{lost.org}.part"
    decide(scene, others, others, "config", "add", part, "--home", host.home)
    make_ready(scene, others[1:])
    until(lambda: is_at_work(lost), "the member must take part again")
    record(scene, lost, "BackAgain")
    settle(members)


def _register_keys(scene: Demo, others: list[Hospital], back: Hospital) -> None:
    """The committee registers an officer's key; the officer registers the one that lets the node
    follow, at another member's node, for its own is not known yet.
    """
    host = others[0]
    files = {}
    for name, capacity in (("officer", "so"), ("observer", "auditor")):
        files[name] = scene.out / f"{back.org}.{name}"
        subject = f"{back.org}-{name}-2"
        words = ("keys", "public", name, "--org", back.org, "--capacity", capacity)
        into(scene, files[name], *words, "--subject", subject, "--home", back.home)
    by = ("--key", "committee", "--home", host.home)
    decide(scene, others, others[1:], "key", "register", files["officer"], *by)
    at = f"http://127.0.0.1:{host.port}"
    scene.run_quietly("key", "register", files["observer"], "--home", back.home, "--node", at)
    settle(others)


def _go_over(scene: Demo, ready: Sequence[Hospital], seen: Sequence[Hospital]) -> None:
    """These members go over to the next epoch; until it has begun where that can be seen."""
    before = [_epoch(member) for member in seen]
    make_ready(scene, ready)
    until(
        lambda: all(_epoch(member) > old for member, old in zip(seen, before, strict=True)),
        "the next epoch must begin",
    )


def _restart(member: Hospital) -> None:
    member.stop()
    member.start()


def _epoch(member: Hospital) -> int:
    health = member.health()
    return -1 if health is None else health["epoch"]
