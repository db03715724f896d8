"""The paths of the HTTP API, one module for each kind of thing.

Each makes a router over the broker service. May import: what stands at the top of web, report, broker.
"""
