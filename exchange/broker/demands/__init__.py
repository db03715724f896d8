"""Demands through their life: what is asked, the replies, their clocks, and the states and steps that follow.

One file for each command (`submit`, `supplement`, `review`, `reply`, `dispute`, `renew`, `automatic`) and one for each
thing that they check (`asked`, `terms`, `agreement`, `need`, `parties`, `life`, `state`, `clocks`). May import: no
other room of the broker.
"""
