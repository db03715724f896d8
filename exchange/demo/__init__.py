"""The demo: a small province on one machine, from empty databases to the satisfaction rate.

`run` lists the steps, `story` says who does what, `platform` is the machinery, `province` generates the people and
registers. Stands aside: only `exchange demo` and tests import it.
"""
