"""The fold: what each event does to the state. Pure functions, one module for each kind of thing.

May import: state, events.
"""
