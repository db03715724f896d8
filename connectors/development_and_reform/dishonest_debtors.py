"""Dishonest debtors, for the credit office."""

from exchange.connect import sink, table

debtors = sink("credit.dishonest-debtor", table("dishonest_debtors"))
