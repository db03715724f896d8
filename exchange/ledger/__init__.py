"""The ledger: events, the fold that turns them into state, and the store that appends them."""

from exchange.ledger.fold.apply import fold

__all__ = ["fold"]
