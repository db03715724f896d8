"""Every form of a schema is tried: on which records stands here, or beside the field. What is tried is made up."""

import re
from pathlib import Path

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.identifiers import IDENTIFIERS

SCHEMAS = SchemaRepository.load(Path(__file__).parents[3] / "schemas")
_LAYOUT = "the layout that the standard or the authority's manual gives; no list of them is public"
TRIED: dict[tuple[str, str], tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    ("credit.dishonest-debtor", "case_number"): (
        "37 numbers of published lists of 2003 to 2018, 32 of them of before 2017",
        ("（2017）皖3499执1号", "（2014）示法民执字第00001号", "（2016）示法皖3499执字第00002号之二"),
        ("(2017)皖3499执1号", "（2017）皖3499初1号", "（2015）示-法执字第1号"),
    ),
    ("credit.dishonest-debtor", "debtor_number"): ("a number of ours", ("1", "999"), ("0", "01", "1000")),
    ("e-licence.licence", "type_code"): (_LAYOUT, ("11100000000013127D001",), ("11100000000013127D01", "")),
    ("e-licence.licence", "layout_digest"): ("digests of SM3", ("0" * 64,), ("0" * 63, "A" * 64)),
    ("population.birth", "certificate_number"): (_LAYOUT, ("K340000001",), ("k340000001", "K34000001")),
    ("population.birth", "birth_time"): ("all minutes of a day", ("00:00", "23:59"), ("24:00", "7:00", "07:00:00")),
    ("population.birth", "replaces"): (_LAYOUT, ("K340000001",), ("",)),
    ("population.marriage", "certificate_number"): (_LAYOUT, ("J349900-2015-000001",), ("J349900-15-000001",)),
    ("population.marriage", "previous_number"): (_LAYOUT, ("BL349900-2015-000001",), ("X349900-2015-000001",)),
    ("macro-economy.indicator", "indicator_code"): ("codes of ours", ("IND001",), ("ind001", "1ND", "IN")),
    ("macro-economy.indicator", "period"): ("periods of ours", ("2026", "2026Q3", "2026-07"), ("2026-13", "2026Q5")),
    ("natural-resources.real-estate-right", "unit_number"): (
        _LAYOUT,
        ("349900001001GB00001F00010001",),
        ("349900001001GB00001X00010001", "349900001001GB00001F0001000"),
    ),
    ("natural-resources.real-estate-right", "share"): ("fractions and percentages", ("50%", "1/3"), ("0/3", "101%")),
}


def forms() -> dict[tuple[str, str], str]:
    found = {}
    for record_type in SCHEMAS.record_types():
        record = SCHEMAS.latest(record_type).record
        assert isinstance(record, RecordSchema)
        found |= {(record_type, rule.name): rule.form for rule in record.fields if rule.form}
    return found


def test_every_form_says_on_which_records_it_was_tried() -> None:
    assert set(forms()) == set(TRIED)
    assert all(on for on, _, _ in TRIED.values())


@pytest.mark.parametrize("field", TRIED, ids=".".join)
def test_a_form_takes_what_exists_and_refuses_what_does_not(field: tuple[str, str]) -> None:
    form, (_, good, wrong) = forms()[field], TRIED[field]
    assert [one for one in good if not re.fullmatch(form, one)] == []
    assert [one for one in wrong if re.fullmatch(form, one)] == []


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_every_identifier_says_on_which_records_it_was_tried(name: str) -> None:
    assert "Tried on" in (IDENTIFIERS[name].__doc__ or "")
