"""The ledger's topic with its bound, and the group and id by which its leader is chosen and fenced."""

from dataclasses import dataclass

from exchange.names import BROKER_GROUP, BROKER_TRANSACTIONAL_ID, LEDGER_TOPIC


@dataclass(frozen=True, slots=True)
class LedgerTopic:
    """The names of one ledger, and its bound. The exchange has one; the names are its by default."""

    name: str = LEDGER_TOPIC
    group: str = BROKER_GROUP
    transactional_id: str = BROKER_TRANSACTIONAL_ID
    events_per_day: int | None = None
    """How many events a department may write a day; None sets no bound."""


THE_LEDGER = LedgerTopic()
"""Of the exchange."""
