"""The HTTP API, the registry API for schema clients, and the console.

At the top stands what paths and pages share: who calls (`access`), bodies, paging, problems, limits, forwarding to the
leader, and what is asked of the broker service (`service`). May import: broker and below.
"""
