"""The sinks of a running province hold exactly the granted fields of exactly the granted rows."""

import pytest

from tests.harness.kafka.province import Province
from tests.harness.sql_recount import RECOUNTS, Recount

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("recount", RECOUNTS, ids=lambda recount: recount.table)
def test_a_sink_equals_an_independent_recount_over_its_source(province: Province, recount: Recount) -> None:
    province.settle()
    expected = recount.rows_expected(province.sql, province.refused_rows)
    assert expected, "nothing would be compared"
    assert recount.rows_found(province.sql) == expected


@pytest.mark.parametrize("recount", RECOUNTS, ids=lambda recount: recount.table)
def test_a_sink_has_the_granted_fields_as_columns_and_no_other(province: Province, recount: Recount) -> None:
    assert recount.columns_found(province.sql) == set(recount.columns)


def test_a_code_in_lower_case_arrives_in_its_clean_form(province: Province) -> None:
    province.settle()
    ((code,),) = province.sql(
        "market-regulation", "SELECT credit_code FROM registrations WHERE credit_code <> upper(credit_code)"
    )
    admitted = {message.key() for message in province.records("registry.legal-entity.registration")}
    assert code.upper().encode() in admitted
    assert code.encode() not in admitted


def test_wrong_rows_wait_in_the_quarantine_of_their_provider_as_they_came(province: Province) -> None:
    province.settle()
    for provider, table, codes in (
        ("market-regulation", "registrations", {b"E_CREDIT_CODE_CHECK_DIGIT"}),
        ("public-security", "residents", {b"E_RESIDENT_ID_CHECK_DIGIT"}),
    ):
        aside = province.records(f"quarantine.{provider}")
        keys = {message.key().decode() for message in aside}
        assert keys >= set(province.refused_rows[table])
        wrong = [message for message in aside if message.key().decode() in province.refused_rows[table]]
        assert {dict(message.headers())["x-exchange-code"] for message in wrong} == codes
        submitted = {
            (message.key(), message.value()) for message in province.records(f"inbox.{_TYPES[table]}.{provider}")
        }
        assert {(message.key(), message.value()) for message in aside} <= submitted


_TYPES = {"registrations": "legal-entity.registration", "residents": "population.resident"}
