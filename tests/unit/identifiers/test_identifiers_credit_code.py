"""Unified social credit codes (GB 32100)."""

import pytest

from exchange.errors import InvalidIdentifier
from exchange.identifiers import IDENTIFIERS, credit_code, organisation_code

REAL = "91110000600037341L"
"""The code that python-stdnum documents."""


def code_of(head: str) -> str:
    """A code that begins with two characters and is valid by both check characters."""
    body = head + "349901" + "EX000001" + organisation_code.check_character("EX000001")
    return body + credit_code.check_character(body)


def test_a_real_code_is_valid() -> None:
    assert credit_code.validate(REAL) == REAL
    assert credit_code.error_code(REAL) is None


@pytest.mark.parametrize(
    "typed", ["91110000600037341l", " 91 110000-600037341 L", "９１１１００００６０００３７３４１Ｌ", REAL + "\n"]
)
def test_what_people_type_is_normalised_by_validate_and_refused_by_admission(typed: str) -> None:
    assert credit_code.validate(typed) == REAL
    assert credit_code.is_valid(typed)
    assert credit_code.error_code(typed) == "E_CREDIT_CODE_FORM"


@pytest.mark.parametrize("head", [first + second for first, kinds in credit_code.KINDS.items() for second in kinds])
def test_every_department_and_kind_is_accepted(head: str) -> None:
    assert credit_code.error_code(code_of(head)) is None


@pytest.mark.parametrize("first", "123456789ANY")
def test_every_registration_department_exists(first: str) -> None:
    assert first in credit_code.KINDS


@pytest.mark.parametrize("head", ["01", "B1", "94", "16", "A2", "Y2", "N4", "9A"])
def test_unknown_department_or_kind_is_refused(head: str) -> None:
    assert credit_code.error_code(code_of(head)) == "E_CREDIT_CODE_DEPARTMENT"


@pytest.mark.parametrize("region", ["911101", "101101", "100001", "A10000", "34X000"])
def test_region_is_six_digits_of_a_province(region: str) -> None:
    body = "91" + region + REAL[8:17]
    assert credit_code.error_code(body + credit_code.check_character(body)) == "E_CREDIT_CODE_REGION"


@pytest.mark.parametrize("text", ["91100000100003962T", "11100000000013338W"])
def test_national_registration_has_no_province(text: str) -> None:
    """A bank of the state and a ministry."""
    assert credit_code.error_code(text) is None
    assert credit_code.error_code(text[:17] + "0") == "E_CREDIT_CODE_CHECK_DIGIT"


def test_county_that_was_abolished_is_accepted() -> None:
    body = "91" + "340104" + REAL[8:17]
    assert credit_code.error_code(body + credit_code.check_character(body)) is None


def test_wrong_check_character_is_refused() -> None:
    with pytest.raises(InvalidIdentifier) as error:
        credit_code.validate(REAL[:17] + "M")
    assert error.value.code == "E_CREDIT_CODE_CHECK_DIGIT"


@pytest.mark.parametrize(
    "text", ["", "9", REAL[:17], REAL + "0", "9111000060003734IL", "91110000600037341é", "\0" * 18]
)
def test_wrong_form_is_refused(text: str) -> None:
    assert credit_code.error_code(text) == "E_CREDIT_CODE_FORM"
    assert not credit_code.is_valid(text)


def test_error_does_not_tell_the_text() -> None:
    with pytest.raises(InvalidIdentifier) as error:
        credit_code.validate(REAL[:17] + "M")
    assert REAL[:8] not in str(error.value) + repr(error.value)


def test_wrong_organisation_digit_inside_is_a_warning_only() -> None:
    body = "91349901" + "EX000001" + "7"
    text = body + credit_code.check_character(body)
    assert credit_code.is_valid(text)
    assert credit_code.warnings(text) == ["E_ORGANISATION_CODE_CHECK_DIGIT"]
    assert credit_code.warnings(REAL) == []


def test_no_code_at_all_has_no_warnings() -> None:
    assert credit_code.warnings("91") == []


def test_mask_hides_the_middle() -> None:
    assert credit_code.mask(REAL) == "91**************1L"
    assert credit_code.mask("something else") == "*" * len(credit_code.compact("something else"))


def test_schemas_find_the_check_by_its_name() -> None:
    assert IDENTIFIERS["credit-code"].error_code(REAL) is None
