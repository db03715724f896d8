"""Ledgers to judge: written by many clients, damaged on purpose, years long."""
