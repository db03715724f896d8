"""Tax Service (税务局): takes registrations of companies and rights in real estate."""
