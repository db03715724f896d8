"""The read part of the Confluent Schema Registry API."""
