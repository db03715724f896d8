"""Handover into tables: the department's table, its columns, and the progress that is written with each batch."""
