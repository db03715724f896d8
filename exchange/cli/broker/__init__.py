"""Commands that ask the broker service over its API.

May import: `exchange.web.client`, how commands print, the arguments of `exchange demand`.
"""
