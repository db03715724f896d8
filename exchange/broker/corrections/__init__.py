"""Doubts about single records (校核纠错): the commands, where keys and words stand, and the desk that serves both.

May import: departments, demands, the seams.
"""
