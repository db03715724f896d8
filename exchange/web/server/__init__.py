"""The server below the application: what it takes from connections and requests, for how long, and from how many.

The parser, keep-alive and flow control are uvicorn's with h11. Ours are deadlines, and who goes first when many come.
"""
