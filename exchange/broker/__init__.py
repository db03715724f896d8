"""The broker service: commands on demands and grants, enforcement, evidence, books, the satisfaction rate."""
