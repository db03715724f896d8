"""The story of the demo: who publishes what, who asks for what, and what the owner answers."""

from dataclasses import dataclass, field
from typing import Any

MARKET, POLICE, HEALTH, CIVIL = "market-regulation", "public-security", "health", "civil-affairs"
ECOLOGY, COURT, LAND, STATISTICS = "ecology-and-environment", "high-court", "natural-resources", "statistics"
WINDOW, TAX, PENSIONS, CREDIT = "data-resources", "taxation", "human-resources", "development-and-reform"
FINANCE = "finance"
DEPARTMENTS = (
    *(MARKET, POLICE, HEALTH, CIVIL, ECOLOGY, COURT, LAND, STATISTICS, WINDOW),
    *(TAX, PENSIONS, CREDIT, FINANCE),
)
"""Those of the first line provide."""

SOURCES = {
    f"{MARKET}.registrations": "legal-entity.registration",
    f"{MARKET}.permits": "credit.permit",
    f"{MARKET}.penalties": "credit.penalty",
    f"{MARKET}.licences": "e-licence.licence",
    f"{POLICE}.residents": "population.resident",
    f"{POLICE}.deaths": "population.death",
    f"{HEALTH}.deaths": "population.death",
    f"{HEALTH}.births": "population.birth",
    f"{CIVIL}.cremations": "population.death",
    f"{CIVIL}.marriages": "population.marriage",
    f"{ECOLOGY}.penalties": "credit.penalty",
    f"{COURT}.dishonest-debtors": "credit.dishonest-debtor",
    f"{LAND}.real-estate-rights": "natural-resources.real-estate-right",
    f"{STATISTICS}.indicators": "macro-economy.indicator",
    f"{WINDOW}.licences": "e-licence.licence",
}
"""Connectors that read the departments' databases, and what they publish."""
COMPANIES_SOURCE = f"{MARKET}.registrations"
FILE_SOURCE = f"{MARKET}.registrations-file"
"""Takes the place of that one when a file of real registrations is given."""


@dataclass(frozen=True, slots=True)
class Act:
    """One demand and what becomes of it: a consent, perhaps after a review, or a refusal; or nobody needs to reply."""

    demander: str
    provider: str
    demand: dict[str, Any]
    consent: dict[str, Any] | None = None
    refusal: dict[str, Any] | None = None
    automatic: bool = False
    """Whether the exchange grants it by itself: everything asked is shared without conditions."""
    reviewed: bool = False
    """Whether the competent department looks at it first."""
    sink: str | None = field(default=None)
    """The connector that takes what is granted."""

    @property
    def served(self) -> bool:
        """Whether what is granted is to reach a sink."""
        return self.sink is not None


FRESHNESS_SECONDS = 3600
_ARTICLE_20 = {"use_scope": "staff of the competent division", "mode": "batch-exchange"}
_INSURANCE_LAW = "社会保险经办条例 art. 8, 26"
_CREDIT_LAW = "信用修复管理办法（国家发展改革委令第36号）; 企业信息公示暂行条例 art. 10"


def _demand(what: str, fields: str, law: str, scenario: str, **more: Any) -> dict[str, Any]:
    """The body of a demand. what: record type and provider, with `@` between; fields: names with blanks between."""
    record_type, _, provider = what.partition("@")
    named = {"record_type": record_type, "provider": provider, "fields": fields.split()}
    return {**named, "legal_basis": law, "scenario": scenario, **_ARTICLE_20, **more}


def _served(sink: str, demand: dict[str, Any], *, reviewed: bool = False, **reply: Any) -> Act:
    """A demand to which its owner consents."""
    consent = {"freshness_seconds": FRESHNESS_SECONDS, **reply}
    return Act(sink.partition(".")[0], demand["provider"], demand, consent, reviewed=reviewed, sink=sink)


def _automatic(sink: str, demand: dict[str, Any]) -> Act:
    """A demand for what is shared without conditions."""
    asked = {"freshness_seconds": FRESHNESS_SECONDS, **demand}
    return Act(sink.partition(".")[0], demand["provider"], asked, automatic=True, sink=sink)


_DEATH = "provider_code resident_id name death_date source reversed"
_STOP = "stop the pensions of the dead"
_PENALTY = (
    "provider_code document_number subject_name subject_kind subject_credit_code violation kind content decided"
    " authority_name disclosure_class repair_state expires_at"
)
_DEBTOR = "case_number debtor_number debtor_name debtor_credit_code court_name performance conduct published expires_at"
_RIGHT = (
    "unit_number certificate_number location region building_area right_kind holder_name holder_kind"
    " holder_resident_id holder_credit_code co_ownership registered status"
)

ACTS = (
    _automatic(
        f"{TAX}.companies",
        _demand(
            f"legal-entity.registration@{MARKET}",
            "credit_code name established capital_amount capital_currency region address status",
            "税收征收管理法 art. 6, 15",
            "tax registration of new companies",
            scope=[{"field": "region", "operator": "in", "values": ["340100", "340800"]}],
        ),
    ),
    _served(f"{PENSIONS}.deaths", _demand(f"population.death@{HEALTH}", _DEATH, _INSURANCE_LAW, _STOP)),
    Act(
        TAX,
        POLICE,
        _demand(
            f"population.resident@{POLICE}",
            "resident_id name current_address",
            "税收征收管理法 art. 6",
            "reach taxpayers by post",
        ),
        refusal={"reason": "the duty named needs no addresses of persons who pay no tax; ask for named taxpayers"},
    ),
    _served(f"{PENSIONS}.deaths-of-civil-affairs", _demand(f"population.death@{CIVIL}", _DEATH, _INSURANCE_LAW, _STOP)),
    _served(f"{PENSIONS}.deaths-of-police", _demand(f"population.death@{POLICE}", _DEATH, _INSURANCE_LAW, _STOP)),
    _served(
        f"{POLICE}.births",
        _demand(
            f"population.birth@{HEALTH}",
            "certificate_number name sex birth_date birth_region mother_name mother_id father_name father_id voided",
            "户口登记条例 art. 7",
            "register the newborn without asking the parents for papers",
        ),
    ),
    _served(
        f"{CIVIL}.residents",
        _demand(
            f"population.resident@{POLICE}",
            "resident_id name household_region household_id relation_to_head marital_status spouse_id cancelled",
            "社会救助暂行办法 art. 58",
            "check the households that ask for social assistance",
            scope=[{"field": "household_region", "operator": "in", "values": ["340102", "340103"]}],
        ),
    ),
    _served(
        f"{LAND}.marriages",
        _demand(
            f"population.marriage@{CIVIL}",
            "certificate_number event registered husband_name husband_id wife_name wife_id annulled",
            "不动产登记暂行条例 art. 23-25",
            "enter joint ownership of couples",
        ),
        reviewed=True,
    ),
    _served(
        f"{TAX}.real-estate-rights",
        _demand(
            f"natural-resources.real-estate-right@{LAND}",
            _RIGHT,
            "税收征收管理法 art. 6; 不动产登记暂行条例 art. 25",
            "property tax and deed tax",
        ),
    ),
    _served(
        f"{COURT}.real-estate-rights",
        _demand(
            f"natural-resources.real-estate-right@{LAND}",
            f"{_RIGHT} mortgaged sealed sealing_authority",
            "民事诉讼法 art. 253",
            "find what a debtor owns",
            scope=[{"field": "status", "operator": "equals", "values": ["1"]}],
        ),
    ),
    _served(
        f"{CREDIT}.permits",
        _demand(
            f"credit.permit@{MARKET}",
            "provider_code document_number document_name subject_name subject_kind subject_credit_code kind content"
            " certificate_name certificate_number decided valid_from valid_until authority_name status expires_at",
            _CREDIT_LAW,
            "publish credit information",
        ),
    ),
    _served(
        f"{CREDIT}.penalties",
        _demand(f"credit.penalty@{MARKET}", _PENALTY, _CREDIT_LAW, "publish credit information"),
    ),
    _served(
        f"{CREDIT}.penalties-of-ecology",
        _demand(f"credit.penalty@{ECOLOGY}", _PENALTY, _CREDIT_LAW, "publish credit information"),
    ),
    _served(
        f"{CREDIT}.dishonest-debtors",
        _demand(
            f"credit.dishonest-debtor@{COURT}",
            f"{_DEBTOR} debtor_resident_id debtor_kind",
            _CREDIT_LAW,
            "publish credit information",
        ),
        fields=[*_DEBTOR.split(), "debtor_kind"],
    ),
    _served(
        f"{MARKET}.dishonest-debtors",
        _demand(
            f"credit.dishonest-debtor@{COURT}",
            "case_number debtor_number debtor_name debtor_resident_id debtor_kind published expires_at",
            "公司法 art. 178; 市场主体登记管理条例 art. 12",
            "refuse debtors as persons in charge of a company",
            scope=[{"field": "debtor_kind", "operator": "equals", "values": ["2"]}],
        ),
    ),
    _automatic(
        f"{CREDIT}.indicators",
        _demand(
            f"macro-economy.indicator@{STATISTICS}",
            "indicator_code region period indicator_name value unit growth published revision",
            "统计法 art. 23",
            "follow the plan",
        ),
    ),
    _automatic(
        f"{FINANCE}.indicators",
        _demand(
            f"macro-economy.indicator@{STATISTICS}",
            "indicator_code region period indicator_name value unit calibre revision",
            "预算法 art. 32",
            "estimate revenue",
        ),
    ),
    _served(
        f"{WINDOW}.licences-at-window",
        _demand(
            f"e-licence.licence@{MARKET}",
            "licence_id type_name name number holder_name holder_credit_code issuer_name issued valid_until status",
            "国务院关于在线政务服务的若干规定 art. 7, 10",
            "no paper licences at the windows",
        ),
    ),
    _served(
        f"{STATISTICS}.licences",
        _demand(
            f"e-licence.licence@{WINDOW}",
            "licence_id name holder_name holder_credit_code issued status",
            "统计法 art. 23",
            "count registered data resources",
        ),
    ),
    Act(
        PENSIONS,
        CIVIL,
        _demand(
            f"legal-entity.registration@{CIVIL}",
            "credit_code name legal_representative",
            "社会组织登记管理条例 art. 22",
            "insure the staff of social organisations",
        ),
    ),
)
"""Every demand of the demo, in order. The last one is for what nobody offers: it waits as unmatched."""
SINKS = {act.sink: act.demand["record_type"] for act in ACTS if act.sink is not None}
"""Connectors that take what is granted, and its record type."""


@dataclass(frozen=True, slots=True)
class Past:
    """A demand of some weeks ago: its owner asked for more time, got it, and still did not reply."""

    demander: str
    provider: str
    demand: dict[str, Any]
    days_ago: int
    extension_days: int
    reason: str


PAST = Past(
    HEALTH,
    POLICE,
    _demand(
        f"population.resident@{POLICE}",
        "resident_id name household_region current_address",
        "疫苗管理法 art. 46",
        "remind the parents of children without vaccination",
    ),
    days_ago=60,
    extension_days=5,
    reason="the register is being moved to another database",
)
"""What the demo finds in its ledger when it begins."""
