"""`exchange kafka`: the embedded Apache Kafka, running in the background until it is told to stop."""

import shlex
import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from exchange.cli.output import DOES_NOT_HOLD, detail, say, show_json, table
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.kafka.jar_lock import kafka_version
from exchange.embedded.kafka.jars import JarCache
from exchange.errors import ExchangeError
from exchange.names import ADMIN

app = typer.Typer(no_args_is_help=True, help="The embedded Apache Kafka: start, stop, state, fetch its jars.")


class Nodes(Enum):
    """The numbers of nodes that an embedded Kafka can have."""

    ONE = "1"
    THREE = "3"


NumberOfNodes = Annotated[
    Nodes | None,
    typer.Option(
        "--nodes",
        help="How many nodes: 3 hold everything three times, and any one of them may be lost. "
        "By default as many as the folder was made with, 1 in a fresh one.",
        show_default=False,
    ),
]


def count_of(nodes: Nodes | None) -> int | None:
    """The number behind the option; None when it was left out."""
    return None if nodes is None else int(nodes.value)


def _default_folder() -> Path:
    return platformdirs.user_data_path("exchange-bus") / "kafka"


Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Where its data lies; by default a folder of this user.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def fetch_jars(jars: JarCache) -> float:
    """Fetch what is missing of Kafka's jars, with a progress bar on stderr; the seconds it took.

    Raises ExchangeError(E_JARS).
    """
    began = time.monotonic()
    if jars.missing():
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(f"Apache Kafka {kafka_version(jars.jars)}", total=jars.size)
            jars.fetch(lambda done, total: progress.update(task, completed=done, total=total))
    return time.monotonic() - began


@app.command()
def fetch(
    cache: Annotated[Path | None, typer.Option(help="The folder for the jars; by default the user's cache.")] = None,
) -> None:
    """Fetch the jars of Apache Kafka ahead of time (45 MB), going on where an interrupted fetch stopped.

    Example: `exchange kafka fetch`. In a closed network name a mirror by EXCHANGE_MAVEN_URL.
    """
    jars = JarCache(cache)
    missing = len(jars.missing())
    seconds = fetch_jars(jars)
    brought = f"{missing} fetched in {seconds:.1f} s" if missing else "all were there already"
    say(f"Apache Kafka {kafka_version(jars.jars)}: {len(jars.jars)} jars verified in {jars.folder}; {brought}")


@app.command()
def up(
    folder: Folder = None,
    nodes: NumberOfNodes = None,
    heap: Annotated[
        int | None,
        typer.Option(
            min=256, help="Java heap of a node in megabytes; 512 for one node, 288 for three.", show_default=False
        ),
    ] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait until it answers.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Start it in the background and return when it answers. Nodes that run already are left as they are.

    Example: `exchange kafka up --nodes 3 --folder /srv/exchange/kafka`
    """
    jars = JarCache()
    options = KafkaOptions(heap_megabytes=heap, jars=jars, nodes=count_of(nodes))
    kafka = EmbeddedKafka(folder or _default_folder(), options)
    fetch_jars(jars)
    kafka.start_missing(Deadline.after(wait), detached=True)
    _show(kafka, as_json)
    if not as_json:
        say("\nFor the other commands:")
        for line in _exports(kafka):
            say(f"  {line}")
        say(f"Stop it with: exchange kafka down{f' --folder {folder}' if folder else ''}")


@app.command()
def down(folder: Folder = None) -> None:
    """Stop it. Its data stays.

    Example: `exchange kafka down`
    """
    kafka = EmbeddedKafka(folder or _default_folder())
    pids = kafka.pids
    if not pids:
        say(f"No Kafka runs on {kafka.folder.root}")
        return
    kafka.stop()
    processes = f"process{'es' if len(pids) > 1 else ''} {', '.join(map(str, pids.values()))}"
    say(f"Kafka on {kafka.folder.root} ({processes}) is stopped; its data stays")


@app.command()
def status(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say which nodes run, and where. Exit status 1 when one of them does not run.

    Example: `exchange kafka status --json`
    """
    kafka = EmbeddedKafka(folder or _default_folder())
    _show(kafka, as_json)
    if not kafka.running or any(node.pid is None for node in kafka.nodes):
        raise typer.Exit(DOES_NOT_HOLD)


def _show(kafka: EmbeddedKafka, as_json: bool) -> None:
    facts: dict[str, Any] = {"running": kafka.running, "folder": str(kafka.folder.root)}
    if not kafka.running:
        _show_facts(facts, [], as_json)
        return
    facts |= {
        "version": kafka_version(JarCache().jars),
        "process": kafka.pid,
        "bootstrap_servers": kafka.bootstrap_servers,
        "username": ADMIN,
        "password_file": str(kafka.admin_password_file),
        "log": str(kafka.log),
    }
    _show_facts(facts, _nodes(kafka), as_json)


def _nodes(kafka: EmbeddedKafka) -> list[dict[str, Any]]:
    try:
        behind = kafka.replicas_behind()
    except ExchangeError:
        behind = {}  # none of them serves
    return [
        {
            "node": node.number,
            "running": node.pid is not None,
            # Kafka takes a killed node for a serving one until its session is over.
            "serving": node.pid is not None and node.number in behind,
            "replicas_behind": behind.get(node.number),
            "process": node.pid,
            "address": node.address,
            "log": str(node.log),
        }
        for node in kafka.nodes
    ]


def _show_facts(facts: dict[str, Any], nodes: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(facts | {"nodes": nodes})
        return
    if len(nodes) < 2:
        detail(facts, as_json=False)
        return
    facts = {name: value for name, value in facts.items() if name not in ("process", "log")}
    detail(facts | {f"log of node {node['node']}": node["log"] for node in nodes}, as_json=False)
    say("")
    table(nodes, [name for name in nodes[0] if name != "log"], as_json=False)


def _exports(kafka: EmbeddedKafka) -> list[str]:
    settings = kafka.admin_settings()
    values = {
        "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "SECURITY_PROTOCOL": settings.security_protocol,
        "USERNAME": settings.username,
        "PASSWORD_FILE": settings.password_file,
        "ADMIN_PASSWORD_FILE": settings.admin_password_file,
        "REPLICATION": settings.replication,
    }
    return [f"export EXCHANGE_KAFKA__{name}={shlex.quote(str(value))}" for name, value in values.items()]
