"""The satisfaction rate and what stands beside it: at a moment, over a period, and in the yearly report.

Pure functions of the ledger: whoever has an export gets the same figures. May import: corrections, grants, demands;
never evidence, which the ledger keeps.
"""
