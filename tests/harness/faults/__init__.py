"""Fault injection: processes killed and frozen over a running flow, and the recount of what came of it."""
