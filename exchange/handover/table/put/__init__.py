"""How rows are put into a table of each database and removed from it (`exchange.handover.table.upsert` chooses)."""
