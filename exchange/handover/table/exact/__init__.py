"""Values as columns keep them, exactly: what a column would round, cut or pad it does not get. Knows no connection."""
