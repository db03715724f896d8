"""The command `exchange`: one module for each group of commands.

`broker` asks the broker service over its API, `demand` is the life of demands, `process` keeps running. Groups are
imported when they are used. May import: everything but connectors.
"""
