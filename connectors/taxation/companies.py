"""Registrations of companies, for tax registration."""

from exchange.connect import sink, table

companies = sink("legal-entity.registration", table("companies"))
