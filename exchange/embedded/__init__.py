"""A real Apache Kafka and a real PostgreSQL on one machine, for the demo and the tests; and our own processes as children."""
