"""A record that cannot go on, as it goes into quarantine: key, value and headers as they came, and why it is there."""

from exchange import record
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.quarantine.redriven import Redriven, kept_name
from exchange.record import Headers
from exchange.stages import Stage


def quarantine_headers(message: Message, error: ExchangeError) -> Headers:
    """The headers of the quarantined record: ours first, then those that came, in their order.

    The reason is the meaning of the error and at most the name of a field, never a value. The stage is that of the
    error. A forged `x-exchange-…` is kept under `submitted-x-exchange-…`. A record that was redriven and failed again
    keeps its first origin, and says where in quarantine it was before.
    """
    return diverted(message, error, error.entry.stage)


def diverted(message: Message, error: ExchangeError, stage: Stage) -> Headers:
    """The same for an error that occurred at another stage than that of its row in the table."""
    origin = f"{message.topic()}/{message.partition()}/{message.offset()}"
    reason = error.detail if error.detail == error.entry.meaning else f"{error.entry.meaning}: {error.detail}"
    again = [(record.QUARANTINE_REDRIVEN, message.was)] if isinstance(message, Redriven) else []
    return [
        (record.QUARANTINE_STAGE, stage.value.encode()),
        (record.QUARANTINE_CODE, error.code.encode()),
        (record.QUARANTINE_REASON, reason.encode()),
        (record.QUARANTINE_ORIGIN, origin.encode()),
        *again,
        *((kept_name(name), content) for name, content in message.headers() or ()),
    ]
