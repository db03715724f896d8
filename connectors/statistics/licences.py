"""Licences of the Data Resources Administration, to count registered data resources."""

from exchange.connect import sink, table

licences = sink("e-licence.licence", table("data_licences"), provider="data-resources")
