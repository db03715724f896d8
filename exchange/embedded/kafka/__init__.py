"""A real Apache Kafka on this machine: its jars, its Java, its folder, its nodes."""
