"""Registrations of companies for its inspectors, as signed files: the department has no database for them."""

from exchange.connect import folder, sink

companies = sink("legal-entity.registration", folder("companies"))
