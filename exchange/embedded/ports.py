"""Free ports on loopback that stay free: outside of the range that the kernel gives to outgoing connections."""

import random
import socket

from exchange.errors import ExchangeError

HOST = "127.0.0.1"
# Below the kernel's ephemeral range (32768 and up on Linux, 49152 on macOS), above the usual services: a port of a
# stopped Kafka is not taken by somebody's client connection before its next start.
_FIRST = 20_000
_LAST = 32_000
_TRIES = 200
# Of the system, not of this process: who seeds Python's own numbers alike (two workers of a test run, a forked process)
# would be given the same ports.
_ANY = random.SystemRandom()


def is_free(port: int) -> bool:
    """Whether something can listen on this port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on this port of loopback now."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A free port that is none of `taken`. Raises ExchangeError(E_EMBEDDED) when none is found."""
    for _ in range(_TRIES):
        port = _ANY.randint(_FIRST, _LAST)
        if port not in taken and is_free(port):
            return port
    raise ExchangeError("E_EMBEDDED", f"no free port between {_FIRST} and {_LAST} on {HOST}")
