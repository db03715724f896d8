"""Kafka as the exchange uses it: the only home of confluent_kafka.

`client` writes and reads records, `admin` changes what Kafka has, `line` is the skeleton of the inner lines.
"""
