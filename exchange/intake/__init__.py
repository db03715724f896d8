"""The intake line: rows of a department's source become records in its inbox."""
