"""The read part of the Confluent Schema Registry API.

Schemas are code: writes are refused. May import: what stands at the top of web.
"""
