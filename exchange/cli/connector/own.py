"""The department's own: its connectors by name, the memory of a source, what a request to it brings."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from exchange.clock import SystemClock
from exchange.connect.declare import Sink, Source
from exchange.connect.find import Connector, find
from exchange.connect.tables import Table, database
from exchange.errors import ExchangeError
from exchange.handover.grants import ActiveGrant, GrantFinder
from exchange.handover.table.set_aside import SetAsideRecord, SetAsideView
from exchange.intake.memory.requests import RequestKind, SourceMemoryView
from exchange.settings import Settings


@dataclass(frozen=True, slots=True)
class Own:
    """A connector and the settings that it runs with."""

    connector: Connector
    settings: Settings

    @classmethod
    def of(cls, name: str, settings: Settings) -> "Own":
        """The connector called `name`. Raises ExchangeError(E_CONNECTOR) when there is none."""
        return cls(find(name), settings)

    @property
    def name(self) -> str:
        """Its one name."""
        return self.connector.name

    @property
    def declared(self) -> Source | Sink:
        """Its declaration."""
        return self.connector.declaration

    def memory(self) -> SourceMemoryView:
        """The memory of a source. Raises ExchangeError(E_CONNECTOR) for a sink."""
        if isinstance(self.declared, Sink):
            advice = f"what its table refused is tried again by `exchange faults replay --connector {self.name} --all`"
            raise ExchangeError("E_CONNECTOR", f"{self.name} is a sink, which reads its share and no table; {advice}")
        return SourceMemoryView(self.settings.connector.state_folder, self.name)

    def refused(self) -> "RefusedRecords":
        """What the table of a sink refused. Raises ExchangeError(E_CONNECTOR) for one that has no table."""
        sink = self.declared
        if not isinstance(sink, Sink) or not isinstance(sink.into, Table):
            why = "what it could not deliver comes with the next version of its record"
            raise ExchangeError("E_CONNECTOR", f"{self.name} has no table that anything waits for; {why}")
        return RefusedRecords(self, sink, sink.into.name)

    def grant_of(self, sink: Sink) -> ActiveGrant | None:
        """The grant that a sink serves now, asked of the broker service."""
        return GrantFinder(self.settings.api).active(self.connector.department, sink.record_type, sink.provider)

    def ask(self, kind: RequestKind, argument: str = "") -> tuple[bool, str]:
        """Leave a request in the memory of a source: whether it is new, and what happens next, in words."""
        memory = self.memory()
        new = memory.ask(kind, argument, SystemClock().now())
        return new, what_next(self.name, memory.running)


class RefusedRecords:
    """The records of one sink that wait in the department's database, where those of its other sinks may stand too."""

    def __init__(self, own: Own, sink: Sink, table: str) -> None:
        self._own = own
        self._sink = sink
        self._table = table

    def listed(self) -> list[SetAsideRecord]:
        """Those of the sink's grant; while nobody can say which that is, all of the database."""
        with closing(self._view()) as view:
            found = view.listed()
        try:
            grant = self._own.grant_of(self._sink) if found else None
        except ExchangeError:
            grant = None
        return found if grant is None else [one for one in found if one.grant == grant.grant]

    def ask(self, records: Sequence[SetAsideRecord]) -> int:
        """Have these tried again; how many of them still wait."""
        with closing(self._view()) as view:
            return view.ask(records)

    def _view(self) -> SetAsideView:
        return SetAsideView(lambda: database(self._own.settings.connector), self._table)


def what_next(name: str, running: bool) -> str:
    """When a request to a source is taken up."""
    if running:
        return "the running connector takes it up within a few seconds"
    return f"{name} is not running on this machine: it is taken up at its start, `exchange run {name}`"
