"""The command `exchange`. A group of commands is imported when it is used: no worker loads what it does not need."""

import errno
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from exchange.cli.output import exit_status, fail
from exchange.errors import ExchangeError
from exchange.observe.logs import place_of


class Group(NamedTuple):
    """A group of commands, or one command."""

    module: str
    """Under `exchange.cli`; it holds the group as `app`, or the command as a function of the command's name."""
    help: str
    """One line."""


COMMANDS: dict[str, Group] = {
    "demo": Group("demo", "Everything at once: Kafka, departments, the way of a record, the satisfaction rate."),
    "kafka": Group("kafka", "The embedded Apache Kafka: start, stop, state, fetch its jars."),
    "serve": Group("process.serve", "The broker service: API, metrics, enforcement, evidence."),
    "admit": Group("process.admit", "One worker of the admission line."),
    "deliver": Group("process.deliver", "One worker of the delivery line."),
    "run": Group("process.run", "A department's sources and sinks."),
    "connector": Group("connector.command", "Your own connectors: their state, reading again."),
    "faults": Group("connector.faults", "Rows and records that your own connectors have set aside."),
    "files": Group("files", "Deliveries in files: check and take them; the key that signs them."),
    "department": Group("broker.department", "Departments, their Kafka principals, their successors."),
    "demand": Group("demand.command", "Demands through their life."),
    "grant": Group("broker.grant", "Grants: what a department may read."),
    "correction": Group("broker.correction", "Doubts about single records, and their answers."),
    "quarantine": Group("broker.quarantine", "Records that could not go on: look, redrive, discard."),
    "reconcile": Group("reconcile", "Whether a grantee's table, its share and the provider's table are equal."),
    "books": Group("broker.books", "The books per record type and share, and whether they close."),
    "ledger": Group("ledger", "The ledger: export, verify, recompute the rate."),
    "report": Group("broker.report", "The yearly report on the satisfaction rate: page, table, JSON."),
    "token": Group("broker.token", "API tokens."),
    "schemas": Group("schemas", "The Avro schemas: check, lock, show."),
    "catalogue": Group("catalogue", "Departments and resources as code: check, show, apply."),
    "errors": Group("errors", "Every error with its meaning and what to do next."),
    "settings": Group("settings", "Every setting with its default and meaning."),
}
"""Every group of commands, in the order of the help page."""


class LazyGroup(TyperGroup):
    """The commands by name; a module is imported only when its command runs."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """The names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """What the help page and the completion show: name and one line, nothing imported."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(name=cmd_name, callback=None, help=COMMANDS[cmd_name].help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that runs, imported now."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load(name) if found is not None and name is not None else found, rest

    def invoke(self, ctx: Any) -> Any:
        """Run, and turn an error of the exchange into its code, its advice and an exit status."""
        try:
            return super().invoke(ctx)
        except ExchangeError as error:
            raise _ended(error) from None
        except Exception as error:
            if _of_typer(error) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
                raise  # typer prints its own, and ends in silence when nobody reads the output any more
            raise _ended(_bug(error)) from None


def _ended(error: ExchangeError) -> typer.Exit:
    fail(error)
    return typer.Exit(exit_status(error))


def _of_typer(error: Exception) -> bool:
    """Whether it is a word of typer's: wrong use, an end, an abort. Where their root lies differs by version."""
    return isinstance(error, typer.Abort) or hasattr(error, "exit_code")


def _bug(error: Exception) -> ExchangeError:
    """A fault of the exchange, by its kind and place: its text could quote what it worked on.

    A file that a command was told to read or write is the caller's, and is named.
    """
    if isinstance(error, OSError) and error.filename is not None:
        return ExchangeError("E_SETTINGS", f"{error.filename}: {error.strerror}")
    return ExchangeError("E_INTERNAL", f"{type(error).__name__} at {place_of(error)}")


def load(name: str) -> Any:
    """The command or group called `name`, from its module."""
    module = importlib.import_module(f"exchange.cli.{COMMANDS[name].module}")
    found: typer.Typer | Callable[..., Any] = getattr(module, "app", None) or getattr(module, name)
    if not isinstance(found, typer.Typer):
        single = typer.Typer()
        single.command()(found)
        found = single
    found._add_completion = False
    command = get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, rich_markup_mode="rich"
)


@app.callback()
def _exchange() -> None:
    """A cross-department data-exchange bus on Apache Kafka.

    Example: `exchange demo --records 2000`
    """
