"""A cross-department data-exchange bus on Apache Kafka."""

__version__ = "0.1.0"
