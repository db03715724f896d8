"""The ledger's topic, and the group and transactional id by which its leader is chosen and fenced."""

from dataclasses import dataclass

from exchange.names import BROKER_GROUP, BROKER_TRANSACTIONAL_ID, LEDGER_TOPIC


@dataclass(frozen=True, slots=True)
class LedgerTopic:
    """The names of one ledger. The exchange has one; the defaults are its."""

    name: str = LEDGER_TOPIC
    group: str = BROKER_GROUP
    transactional_id: str = BROKER_TRANSACTIONAL_ID


THE_LEDGER = LedgerTopic()
"""Of the exchange."""
