"""What operators and providers do about quarantined records: look, redrive, discard.

The records themselves are read by `exchange.quarantine`. May import: departments, demands, the seams.
"""
