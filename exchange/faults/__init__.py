"""The faults log of a department: rows of its connectors that did not map, records that did not apply.

`log` is its form, which intake and handover write; `fold` tells what of it still waits, `read` gets it from Kafka. May
import the vocabulary and the Kafka client.
"""
