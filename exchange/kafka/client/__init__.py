"""Writing and reading records: connections, producers, consumers, and the border where their errors become ours."""
