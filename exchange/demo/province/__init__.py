"""A generated province: people, companies and their registers, with the dirt that real registers have.

A seed always gives the same. Identifiers carry county codes that were never assigned: nobody living has them.
"""
