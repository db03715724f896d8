"""`exchange demo`: a small province on one machine, from empty databases to the satisfaction rate."""

from exchange.cli.demo.command import demo

__all__ = ["demo"]
