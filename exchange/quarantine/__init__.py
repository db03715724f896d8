"""Where records wait that the exchange could not pass on: divert them, look at them, pass them through again."""
