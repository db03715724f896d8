"""Where the ledger lives in Kafka, and by which names its leader is chosen and fenced."""

from dataclasses import dataclass

from exchange.names import BROKER_GROUP, BROKER_TRANSACTIONAL_ID, LEDGER_TOPIC


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """The names of one ledger. The exchange has one; the defaults are its."""

    topic: str = LEDGER_TOPIC
    group: str = BROKER_GROUP
    transactional_id: str = BROKER_TRANSACTIONAL_ID


THE_LEDGER = LedgerPlace()
"""The ledger of the exchange."""
