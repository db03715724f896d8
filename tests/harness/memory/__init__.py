"""Doubles in memory at the lowest seam: ledger, quarantine, corrections, and what runs over them."""
