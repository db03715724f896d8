"""A real Apache Kafka and a real PostgreSQL on one machine, and our own processes, all as child processes."""
