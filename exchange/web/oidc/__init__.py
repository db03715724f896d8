"""Callers that an OpenID Connect issuer vouches for.

`callers` judges tokens, `keys` fetches what they are signed with. May import: broker, settings.
"""
