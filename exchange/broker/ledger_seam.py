"""What those parts of the broker service need of the ledger's store that only ask it and give it commands."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from exchange.clock import Deadline
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Result

T = TypeVar("T")


class Ledger(Protocol):
    """The ledger's store."""

    @property
    def leader(self) -> bool:
        """Whether this instance takes commands."""
        ...

    def read(self, question: Callable[[LedgerState], T], /) -> T:
        """Ask the state."""
        ...

    def execute(self, command: Command, actor: str, command_id: str | None, deadline: Deadline) -> Result:
        """Append what the command says. Raises ExchangeError."""
        ...
