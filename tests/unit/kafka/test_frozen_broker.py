"""A broker that takes connections and answers nothing: how long a client of ours waits before it turns to another."""

from exchange.kafka.client.connection import Connection

BOUND_MS = 30_000


def test_a_broker_that_does_not_answer_holds_nobody_up_for_half_a_minute() -> None:
    config = Connection("localhost:1", "SASL_PLAINTEXT", "SCRAM-SHA-512", "someone", None, "secret").config()
    assert config["socket.timeout.ms"] + config["socket.connection.setup.timeout.ms"] < BOUND_MS
