"""The story of the demo: who publishes what, who asks for what, and what the owner answers."""

from dataclasses import dataclass, field
from typing import Any

PROVIDERS = ("market-regulation", "public-security", "health")
GRANTEES = ("taxation", "human-resources")
DEPARTMENTS = (*PROVIDERS, *GRANTEES)

SOURCES = {
    "market-regulation.registrations": "legal-entity.registration",
    "public-security.residents": "population.resident",
    "health.deaths": "population.death",
}
"""Connectors that read the departments' databases, and what they publish."""
FILE_SOURCE = "market-regulation.registrations-file"
"""Takes the place of the first when a file of real registrations is given."""
SINKS = {
    "taxation.companies": "legal-entity.registration",
    "human-resources.deaths": "population.death",
}


@dataclass(frozen=True, slots=True)
class Act:
    """One demand, and the owner's reply: a consent with the agreed freshness, or a refusal with its reason."""

    title: str
    demander: str
    provider: str
    demand: dict[str, Any]
    consent: dict[str, Any] | None = None
    refusal: dict[str, Any] | None = None
    served: bool = field(default=False)
    """Whether a sink of the demo takes what is granted."""


_ARTICLE_20 = {"use_scope": "staff of the competent division", "mode": "batch-exchange"}
FRESHNESS_SECONDS = 3600

ACTS = (
    Act(
        "taxation asks for the companies of two cities",
        "taxation",
        "market-regulation",
        {
            "record_type": "legal-entity.registration",
            "fields": [
                "credit_code",
                "name",
                "established",
                "capital_amount",
                "capital_currency",
                "region",
                "address",
                "status",
            ],
            "scope": [{"field": "region", "operator": "in", "values": ["340100", "340800"]}],
            "legal_basis": "税收征收管理法 art. 6, 15",
            "scenario": "tax registration of new companies",
            **_ARTICLE_20,
        },
        consent={"freshness_seconds": FRESHNESS_SECONDS},
        served=True,
    ),
    Act(
        "human resources asks for deaths, to stop pensions",
        "human-resources",
        "health",
        {
            "record_type": "population.death",
            "fields": ["provider_code", "resident_id", "name", "death_date", "source", "reversed"],
            "legal_basis": "社会保险经办条例 art. 8, 26",
            "scenario": "stop the pensions of the dead",
            **_ARTICLE_20,
        },
        consent={"freshness_seconds": FRESHNESS_SECONDS},
        served=True,
    ),
    Act(
        "taxation asks for residents' addresses",
        "taxation",
        "public-security",
        {
            "record_type": "population.resident",
            "fields": ["resident_id", "name", "current_address"],
            "legal_basis": "税收征收管理法 art. 6",
            "scenario": "reach taxpayers by post",
            **_ARTICLE_20,
        },
        refusal={"reason": "the duty named needs no addresses of persons who pay no tax; ask for named taxpayers"},
    ),
)
