"""What the demo finds in its ledger: a demand of some weeks ago that was extended and is overdue.

It is written by the ledger's own leader code with a clock that stands in the past, before the broker service starts.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from exchange import settings as settings_module
from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.review import ExtendReply, RequestExtension
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.load import load as load_catalogue
from exchange.clock import Deadline
from exchange.demo.platform import Platform
from exchange.demo.story import PAST, Past
from exchange.ledger.store.command import Command
from exchange.ledger.store.follower import LedgerFollower
from exchange.ledger.store.leader_term import Term
from exchange.names import Department, RecordType

_SECONDS = 60.0
_POLL_SECONDS = 0.5


class _PastClock:
    """A clock that stands where it is set."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The moment it was set to."""
        return self.moment


def tell(platform: Platform, past: Past = PAST) -> None:
    """Write the demand and its extension, each at its time. Nothing when the ledger has them."""
    settings = settings_module.load()
    schemas = SchemaRepository.load(settings.schemas)
    clock = _PastClock(datetime.now(UTC) - timedelta(days=past.days_ago))
    with _leading(platform, schemas, clock) as term:
        _say(term, "exchange", ApplyCatalogue.of(load_catalogue(settings.catalogue)))
        clock.moment += timedelta(hours=1)
        (demand,) = _say(term, past.demander, _submission(past, schemas))
        clock.moment += timedelta(days=3)
        asked = RequestExtension(
            demand=demand, by=Department(past.provider), days=past.extension_days, reason=past.reason
        )
        _say(term, past.provider, asked)
        clock.moment += timedelta(days=1)
        _say(term, "supervisor", ExtendReply(demand=demand))
        term.commit(Deadline.after(_SECONDS))


def _submission(past: Past, schemas: SchemaRepository) -> SubmitDemand:
    stated = {name: past.demand[name] for name in ("legal_basis", "scenario", "use_scope", "mode")}
    return SubmitDemand(
        demander=Department(past.demander),
        record_type=RecordType(past.demand["record_type"]),
        provider=Department(past.provider),
        fields=tuple(past.demand["fields"]),
        schemas=schemas,
        **stated,
    )


def _say(term: Term, actor: str, command: Command) -> tuple[str, ...]:
    """The entities of the command's events; with the same key it says nothing twice."""
    return term.decide(command, actor, f"prologue-{type(command).__name__}").entities


@contextmanager
def _leading(platform: Platform, schemas: SchemaRepository, clock: _PastClock) -> Iterator[Term]:
    with ExitStack() as stack:
        follower = LedgerFollower(platform.ledger_connection(), schemas)
        stack.callback(follower.close)
        follower.catch_up()
        term = Term(platform.ledger_connection(), schemas, clock, follower.state)
        stack.callback(term.close)
        term.start(Deadline.after(_SECONDS))
        ends = follower.ends()  # whoever led before may have written until now
        while follower.short_of(ends):
            follower.poll(_POLL_SECONDS)
        yield term
