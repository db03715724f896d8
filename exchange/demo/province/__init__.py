"""A generated province: people, companies and their registers, with the dirt that real registers have."""
