"""The broker service: demands and grants, enforcement, evidence, corrections, quarantine, the satisfaction rate.

At the top stands only what holds the rooms together: the service with its threads, the leader, the head of the ledger,
the metrics, and the seams, which import nothing of the rooms. Commands are pure functions of the ledger's state and the
time. May import: ledger, quarantine, what both inner lines write of themselves (their `state`), and below.
"""
