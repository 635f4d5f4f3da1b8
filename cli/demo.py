"""`alliance demo`: the whole story in one run, with a real node process and real commands.

Each step prints the command that it runs; everything that it makes lies in one folder.
"""

import itertools
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from cli.catalogue import hand_out, use_file
from cli.idash import read_lines
from cli.options import Lang, Place
from cli.records import write
from cli.screen import say
from cli.session import Session
from ledger.errors import AllianceError, ConfigError
from node.client import NodeClient

ORG: Final = "h1"
ORIGIN: Final = "chain.example.org/critical-care"
MARK: Final = ".made-by-alliance-demo"
START_S: Final = 30
STOP_S: Final = 30
LEFT_OUT: Final = 2
"""So many datasets of the log stay unregistered, to show what a finding looks like."""
SAMPLES: Final = {
    "ward-rounds.csv": "bed,day,heart_rate\n1,1,82\n1,2,79\n2,1,91\n",
    "ventilation.csv": "bed,day,hours\n1,1,4\n2,1,12\n",
    "laboratory.csv": "bed,day,lactate\n1,1,1.4\n2,1,2.2\n",
}
"""What the demo reads when there is no log at hand: files that it makes itself."""


class Demo(NamedTuple):
    """Where the demo works, and how it runs a command."""

    out: Path
    home: Path
    port: int
    command: Callable[[list[str]], None]
    numbers: Iterator[int]

    def step(self, name: str, /, **facts: str | int) -> None:
        """Print the heading of a step."""
        heading = f"{next(self.numbers)}. {say(name, **facts)}"
        typer.echo("\n" + typer.style(heading, bold=True))

    def run(self, *words: str | Path, home: bool = True) -> None:
        """Print a command and run it in this process, against the demo's home directory."""
        arguments = [str(word) for word in words]
        typer.echo(typer.style("$ alliance " + shlex.join(arguments), fg="cyan"))
        place = ["--home", str(self.home)] if home else []
        self.command([*arguments, *place])


def demo(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option(help="Folder of the iDASH 2018 log (node1.tsv to node4.tsv).")
    ] = Path("../shared/data/idash2018"),
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("demo-out"),
    lang: Lang = None,
) -> None:
    """Found a chain, record real uses, ask, prove, copy, audit: all of it in about a minute."""
    started = time.monotonic()
    clean(out)
    root: Any = context.find_root().command
    tail = ["--lang", lang] if lang else []

    def command(words: list[str]) -> None:
        code = root.main([*words, *tail], prog_name="alliance", standalone_mode=False)
        if code:
            raise typer.Exit(code)

    scene = Demo(out, out / "home", free_port(), command, itertools.count(1))
    files = sorted(data.glob("node[0-9]*.tsv"))
    typer.echo(say("demo-title"))
    typer.echo(say("demo-data", folder=str(data)) if files else say("demo-no-data"))
    found_chain(scene)
    with node_running(scene):
        entry = use_log(scene, files) if files else use_files(scene)
        prove(scene, entry)
        scene.step("demo-copy")
        scene.run("export", out / "copy")
    audit(scene)
    typer.echo("\n" + say("demo-done", seconds=round(time.monotonic() - started), out=str(out)))


# --- the stage ---


def clean(out: Path) -> None:
    """Empty the demo's folder. Raises `ConfigError` (X6.folder, X1.file) for anybody else's."""
    try:
        if out.exists():
            if not (out / MARK).exists() and any(out.iterdir()):
                raise ConfigError("X6.folder", folder=str(out))
            shutil.rmtree(out)
        out.mkdir(parents=True)
        (out / MARK).touch()
    except OSError:
        raise ConfigError("X1.file", file=str(out)) from None


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def node_running(scene: Demo) -> Iterator[None]:
    """A node process of its own, stopped at the end. Raises `ConfigError` (X6.node)."""
    scene.step("demo-node")
    words = ["node", "run", "--home", str(scene.home)]
    typer.echo(typer.style("$ alliance " + shlex.join(words) + " &", fg="cyan"))
    log = scene.out / "node.log"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603  # our own program, words of our own
            [sys.executable, "-m", "cli", *words], stdout=file, stderr=subprocess.STDOUT
        )
        try:
            wait_for_node(scene.port, process, log)
            typer.echo(say("demo-node-up", port=scene.port, pid=process.pid))
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    scene.step("demo-stopped")


def wait_for_node(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the node answers. Raises `ConfigError` (X6.node)."""
    deadline = time.monotonic() + START_S
    with NodeClient(f"http://127.0.0.1:{port}") as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.health()
            except AllianceError:
                time.sleep(0.1)
            else:
                return
    raise ConfigError("X6.node", seconds=START_S, log=str(log))


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
    counts = Counter(line.resource for path in files for line in read_lines(path))
    names = [name for name, _count in counts.most_common()]
    scene.step("demo-datasets", count=len(names) - LEFT_OUT, left=", ".join(names[-LEFT_OUT:]))
    first, *others = sorted(names[:-LEFT_OUT])
    scene.run("dataset", "register", first, "--openness", "conditional")
    register_quietly(scene, others)
    scene.step("demo-import-first")
    scene.run("import", "idash", files[0])
    scene.step("demo-early-copy")
    scene.run("export", scene.out / "early-copy")
    scene.step("demo-import", count=sum(counts.values()))
    scene.run("import", "idash", *files[1:])
    ask(scene, files, names)
    scene.step("demo-close")
    nodes = sorted({line.node for path in files for line in read_lines(path)})
    for node in nodes:
        scene.run("source-close", f"idash-{node}")
    return "1000"


def register_quietly(scene: Demo, names: list[str]) -> None:
    """Register more datasets by the same way, with one line for each."""
    with Session(Place(scene.home, None, None, "officer")) as session:
        for name in names:
            fields = {"custodian": ORG, "openness": "conditional", "series_id": name}
            done = write(session, "dataset", fields)
            typer.echo(say("demo-registered", name=name, index=done.index, height=done.height))


def ask(scene: Demo, files: list[Path], names: list[str]) -> None:
    """A few questions, each beside the answer of a plain scan of the files."""
    lines = [line for path in files for line in read_lines(path)]
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
