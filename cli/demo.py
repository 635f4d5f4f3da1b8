"""`alliance demo`: the whole story in one run, with a real node process and real commands.

Each step prints the command that it runs; everything that it makes lies in one folder.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.alliance import show_alliance
from cli.catalogue import hand_out, use_file
from cli.idash import Line, read_lines
from cli.options import Lang, Place
from cli.screen import language, say
from cli.session import Session
from cli.stage import (
    LEFT_OUT,
    ORIGIN,
    Demo,
    clean,
    free_port,
    names_of,
    register_quietly,
    start_node,
    stop_node,
    wait_for_node,
)

ORG: Final = "h1"
SAMPLES: Final = {
    "ward-rounds.csv": "bed,day,heart_rate\n1,1,82\n1,2,79\n2,1,91\n",
    "ventilation.csv": "bed,day,hours\n1,1,4\n2,1,12\n",
    "laboratory.csv": "bed,day,lactate\n1,1,1.4\n2,1,2.2\n",
}
"""What the demo reads when there is no log at hand: files that it makes itself."""


def demo(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option(help="Folder of the iDASH 2018 log (node1.tsv to node4.tsv).")
    ] = Path("../shared/data/idash2018"),
    out: Annotated[
        Path,
        typer.Option(help="Folder for everything it makes; emptied first where a demo made it."),
    ] = Path("demo-out"),
    alone: Annotated[
        bool, typer.Option("--alone", help="One institution instead of four; so without a log.")
    ] = False,
    lang: Lang = None,  # noqa: ARG001
) -> None:
    """Found a chain, record real uses, ask, prove, copy, audit: all of it in a minute or two."""
    started = time.monotonic()
    clean(out, "--out")
    scene = make_scene(context, out)
    files = sorted(data.glob("node[0-9]*.tsv"))
    if files and not alone:
        typer.echo(say("demo-title-four"))
        typer.echo(say("demo-data", folder=str(data)))
        show_alliance(scene, files)
    else:
        typer.echo(say("demo-title"))
        typer.echo(say("demo-data", folder=str(data)) if files else say("demo-no-data"))
        show_one(scene, files)
    typer.echo("\n" + say("demo-done", seconds=round(time.monotonic() - started), out=str(out)))


def make_scene(context: typer.Context, out: Path) -> Demo:
    """A stage in this folder, where commands are run by the program that runs now."""
    root: Any = context.find_root().command
    tail = ["--lang", language()]

    def command(words: list[str]) -> None:
        # What stands behind two dashes is a command of somebody else's.
        at = words.index("--") if "--" in words else len(words)
        given = [*words[:at], *tail, *words[at:]]
        code = root.main(given, prog_name="alliance", standalone_mode=False)
        if code:
            raise typer.Exit(code)

    return Demo(out, out / "home", free_port(), command, itertools.count(1))


def show_one(scene: Demo, files: list[Path]) -> None:
    """One institution, from its first key to an offline audit."""
    found_chain(scene)
    scene.step("demo-node")
    with running(scene):
        entry = use_log(scene, files) if files else use_files(scene)
        prove(scene, entry)
        scene.step("demo-copy")
        scene.run("export", scene.out / "copy")
    scene.step("demo-stopped")
    audit(scene)


@contextmanager
def running(scene: Demo) -> Iterator[None]:
    """A node process of its own, stopped at the end. Raises `ConfigError` (X6.node)."""
    log = scene.out / "node.log"
    process = start_node(scene.home, log)
    try:
        wait_for_node(scene.port, process, log)
        typer.echo(say("demo-node-up", port=scene.port, pid=process.pid))
        yield
    finally:
        stop_node(process)


# --- the acts ---


def found_chain(scene: Demo) -> None:
    """Keys, genesis, settings."""
    scene.step("demo-init")
    scene.run(
        "init", "--org", ORG, "--origin", ORIGIN, "--name-en", "Critical care alliance",
        "--name-zh", "重症医学联盟", "--port", str(scene.port),
    )  # fmt: skip


def use_log(scene: Demo, files: list[Path]) -> str:
    """Record the whole log; ask some questions. Gives the index of a record to prove."""
    lines = [line for path in files for line in read_lines(path)]
    names = names_of(lines)
    scene.step("demo-datasets", count=len(names) - LEFT_OUT, left=", ".join(names[-LEFT_OUT:]))
    first, *others = sorted(names[:-LEFT_OUT])
    scene.run("dataset", "register", first, "--openness", "conditional")
    register_quietly(scene.home, ORG, others)
    scene.step("demo-import-first")
    scene.run("import", "idash", files[0])
    scene.step("demo-early-copy")
    scene.run("export", scene.out / "early-copy")
    scene.step("demo-import", count=len(lines))
    scene.run("import", "idash", *files[1:])
    ask(scene, lines, names)
    scene.step("demo-close")
    for node in sorted({line.node for line in lines}):
        scene.run("source-close", f"idash-{node}")
    return "1000"


def ask(scene: Demo, lines: list[Line], names: list[str]) -> None:
    """A few questions, each beside the answer of a plain scan of the files."""
    first, last = names[0], names[-1]
    scene.step("demo-ask")
    scene.run("accesses", "--dataset", first, "--count", "--limit", "3")
    _scan(sum(line.resource == first for line in lines))
    scene.run(
        "accesses", "--person", "ext:idash:6", "--activity", "FILE_ACCESS", "--system", "idash-1",
        "--from", "2018-03-25", "--to", "2018-03-26", "--sort", "-at", "--count", "--limit", "3",
    )  # fmt: skip
    end_ms = 1_522_022_400_000
    _scan(
        sum(
            (line.user, line.activity, line.node) == ("6", "FILE_ACCESS", "1")
            and line.at_ms < end_ms
            for line in lines
        )
    )
    scene.run("accesses", "--request", "idash-1/1", "--sort", "seq", "--count", "--limit", "3")
    _scan(sum((line.node, line.ref) == ("1", 1) for line in lines))
    scene.step("demo-findings", name=last)
    scene.run("findings")
    scene.run("accesses", "--finding", "UNREGISTERED", "--count", "--limit", "3")
    _scan(sum(line.resource in names[-LEFT_OUT:] for line in lines))


def _scan(count: int) -> None:
    typer.echo(typer.style(say("demo-scan", count=count), fg="green"))


def use_files(scene: Demo) -> str:
    """Without a log: make files, fingerprint them, read them, and record these real uses."""
    folder = scene.out / "files"
    folder.mkdir()
    paths = [folder / name for name in SAMPLES]
    for path in paths:
        path.write_text(SAMPLES[path.name], encoding="utf-8")
    scene.step("demo-files")
    scene.run("dataset", "fingerprint", *paths, home=False)
    for path in paths[:-1]:
        scene.run("dataset", "register", path.stem, "--openness", "conditional")
        scene.run("version", "register", path.stem, "v1", path)
    scene.step("demo-reads")
    first, target = f"{paths[0].stem}@v1", scene.out / "read.tmp"
    scene.run(
        "access", "read", paths[0], "--dataset", first, "--out", target, "--person", "ext:demo:1"
    )
    read_quietly(scene, paths, 11)
    scene.step("demo-early-copy")
    scene.run("export", scene.out / "early-copy")
    scene.step("demo-ask")
    scene.run("accesses", "--dataset", f"{paths[0].stem}@v1", "--count")
    scene.run("accesses", "--finding", "UNREGISTERED", "--sort", "-at", "--count")
    scene.run("findings")
    scene.step("demo-close")
    scene.run("source-close", "gateway")
    return "5"


def read_quietly(scene: Demo, paths: list[Path], times: int) -> None:
    """Read the files in turn by the same way, with one line for each use."""
    with Session(Place(scene.home, None, None, "system")) as session:
        for number in range(times):
            path = paths[number % len(paths)]
            name = path.stem if path == paths[-1] else f"{path.stem}@v1"
            person = f"ext:demo:{number % 2 + 1}"
            use, _found = use_file(session, path, name, "gateway", {"person": person})
            hand_out(path, scene.out / "read.tmp")
            index, height = use.recorded.index, use.recorded.height
            typer.echo(say("demo-registered", name=name, index=index, height=height))


def prove(scene: Demo, entry: str) -> None:
    """One record's proof, checked with the genesis file alone."""
    scene.step("demo-prove")
    folder = scene.out / "proof"
    scene.run("proof", entry, "--out", folder)
    receipt = next(folder.glob("*.json"))
    scene.run("audit", "receipt", receipt, "--genesis", scene.home / "genesis", home=False)


def audit(scene: Demo) -> None:
    """What an auditor does with the copies, without any node."""
    genesis = scene.home / "genesis"
    receipt = next((scene.out / "proof").glob("*.json"))
    scene.step("demo-audit")
    scene.run(
        "audit", scene.out / "copy", "--genesis", genesis,
        "--since", scene.out / "early-copy", "--receipt", receipt, home=False,
    )  # fmt: skip
    scene.step("demo-drill")
    scene.run("audit", "drill", scene.out / "early-copy", home=False)
