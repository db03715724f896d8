"""The alert rules: what Prometheus would load, about metrics and labels that exist."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from promql_parser import Expr, MatrixSelector, VectorSelector

from exchange.ledger.state.ledger_state import LedgerState
from exchange.observe import metrics
from exchange.observe.families import GaugeFamily
from tests.harness.memory.ledger import publish_demands

FILE = Path(__file__).parents[3] / "deploy" / "prometheus" / "alerts.yml"
LABELS = {
    "exchange_books_difference": {"record_type", "share"},
    "exchange_quarantine_records": {"department", "code"},
    "exchange_demands_overdue": {"clock", "department"},
    "exchange_demands_awaiting_successor": {"department"},
    "exchange_grants_in_breach": {"cause"},
    "exchange_grants_expiring": {"department", "days"},
    "exchange_disposals_open": {"department"},
    "exchange_tokens_ending": {"holder"},
    "exchange_reconciled_differences": {"grant", "half"},
    "exchange_line_lag_seconds": {"line", "record_type"},
    "exchange_backfill_remaining_records": {"share"},
    "exchange_enforcement_drift_total": {"kind"},
    "exchange_connector_up": {"connector"},
    "exchange_reported_sources": {"department", "record_type", "state"},
    "exchange_set_aside_oldest_seconds": {"department", "connector"},
    "exchange_source_compared_timestamp_seconds": {"connector"},
    "exchange_source_comparison_rows": {"connector", "result"},
    "exchange_source_missed_total": {"record_type", "department", "kind"},
}
"""Every metric that is looked at, and its labels."""
SHOWN = re.compile(r"\$labels\.(\w+)")


def groups() -> list[dict[str, Any]]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert loaded.keys() == {"groups"}
    found: list[dict[str, Any]] = loaded["groups"]
    return found


RULES = [rule for group in groups() for rule in group["rules"]]


def selectors(rule: dict[str, Any]) -> list[VectorSelector]:
    found: list[VectorSelector] = []

    def look(node: Expr) -> None:
        if isinstance(node, VectorSelector):
            found.append(node)
        elif isinstance(node, MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(rule["expr"]), look)
    return found


def kept(rule: dict[str, Any]) -> set[str]:
    """The labels that an alert has for its texts."""
    grouped = re.findall(r"by \((\w+(?:, \w+)*)\)", rule["expr"])
    if grouped:
        return set(grouped[0].split(", "))
    return set[str]().union(*(LABELS[str(one.name)] for one in selectors(rule)))


def exposed() -> Iterator[str]:
    for family in metrics.REGISTRY.collect():
        yield family.name
        yield f"{family.name}_total" if family.type == "counter" else family.name


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_has_the_fields_of_prometheus_and_an_expression_that_it_can_read(rule: dict[str, Any]) -> None:
    assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert "for" not in rule or promql_parser.parse_duration(rule["for"])


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    found = selectors(rule)
    assert found
    assert {one.name for one in found} <= set(exposed()) & LABELS.keys()
    for one in found:
        assert {matcher.name for matcher in one.matchers.matchers} <= LABELS[str(one.name)]
    shown = {label for text in rule["annotations"].values() for label in SHOWN.findall(text)}
    assert shown <= kept(rule)


def test_the_labels_are_those_of_the_metrics() -> None:
    for name, labels in LABELS.items():
        family = {
            "exchange_enforcement_drift_total": metrics._DRIFT, "exchange_source_missed_total": metrics._MISSED
        }.get(name)  # fmt: skip
        declared = family._labelnames if family else {f._name: f._labels for f in gauges()}[name]
        assert set(declared) == labels


def gauges() -> list[Any]:
    return [one for one in vars(metrics).values() if isinstance(one, GaugeFamily)]


def test_names_are_given_once_and_every_promised_alert_is_there() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    assert {
        "BooksDoNotClose",
        "StatutoryClockOverdue",
        "QuarantineGrows",
        "GrantsBrokenByTheExchange",
        "NoLeader",
        "LineBehind",
        "ConnectorDown",
        "SetAsideForADay",
        "ComparisonOverdue",
        "RowsMissed",
        "WithdrawalsHeld",
    } <= set(names)
    assert len({group["name"] for group in groups()}) == len(groups())


def test_the_open_breaches_are_shown_by_cause() -> None:
    publish_demands(LedgerState(), datetime(2026, 11, 24, tzinfo=UTC))
    assert metrics.GRANTS_IN_BREACH.read() == {("grantee",): 0.0, ("exchange",): 0.0, ("provider",): 0.0}
