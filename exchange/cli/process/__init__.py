"""The processes of the exchange: `serve`, `admit`, `deliver`, and `run` for a department's connectors.

Each puts a process together from settings; nothing else knows all its parts.
"""
