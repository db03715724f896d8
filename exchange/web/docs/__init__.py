"""The page that describes the API: a table of its paths, without scripts.

May import: what stands at the top of web.
"""
