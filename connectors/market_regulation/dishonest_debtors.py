"""Dishonest debtors, who may not be registered as persons in charge."""

from exchange.connect import sink, table

debtors = sink("credit.dishonest-debtor", table("dishonest_debtors"))
