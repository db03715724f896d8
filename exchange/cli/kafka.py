"""`exchange kafka`: the embedded Apache Kafka, running in the background until it is told to stop."""

import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from exchange.cli.output import DOES_NOT_HOLD, detail, say, show_json
from exchange.clock import Deadline
from exchange.embedded.jar_lock import kafka_version
from exchange.embedded.jars import JarCache
from exchange.embedded.kafka import EmbeddedKafka, KafkaOptions
from exchange.names import ADMIN

app = typer.Typer(no_args_is_help=True, help="The embedded Apache Kafka: start, stop, state, fetch its jars.")


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
    heap: Annotated[int, typer.Option(min=256, help="Java heap in megabytes.")] = 512,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait until it answers.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Start it in the background and return when it answers. One that runs already is left as it is.

    Example: `exchange kafka up --folder /srv/exchange/kafka`
    """
    jars = JarCache()
    kafka = EmbeddedKafka(folder or _default_folder(), KafkaOptions(heap_megabytes=heap, jars=jars))
    if not kafka.running:
        fetch_jars(jars)
        kafka.start(Deadline.after(wait), detached=True)
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
    if not kafka.running:
        say(f"No Kafka runs on {kafka.folder.root}")
        return
    pid = kafka.pid
    kafka.stop()
    say(f"Kafka on {kafka.folder.root} (process {pid}) is stopped; its data stays")


@app.command()
def status(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say whether it runs, and where. Exit status 1 when it does not run.

    Example: `exchange kafka status --json`
    """
    kafka = EmbeddedKafka(folder or _default_folder())
    _show(kafka, as_json)
    if not kafka.running:
        raise typer.Exit(DOES_NOT_HOLD)


def _show(kafka: EmbeddedKafka, as_json: bool) -> None:
    facts: dict[str, Any] = {"running": kafka.running, "folder": str(kafka.folder.root)}
    if kafka.running:
        facts |= {
            "version": kafka_version(JarCache().jars),
            "process": kafka.pid,
            "bootstrap_servers": kafka.bootstrap_servers,
            "username": ADMIN,
            "password_file": str(kafka.admin_password_file),
            "log": str(kafka.log),
        }
    if as_json:
        show_json(facts)
    else:
        detail(facts, as_json=False)


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
