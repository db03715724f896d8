"""Kafka as the exchange uses it: the only home of confluent_kafka."""
