"""Organisation codes, regions, identifiers of electronic licences."""

import pytest

from exchange.errors import InvalidIdentifier
from exchange.identifiers import credit_code, licence_id, organisation_code, region

ORGANISATION = "60003734-1"
"""Inside the credit code that python-stdnum documents."""
DEFINER = "11100000000013338W"
"""The credit code of a ministry, in a public sample of licence types."""
ISSUER = "11340000EXCH000341"


def licence(serial: str = "34X7Q", version: str = "001", issuer: str = ISSUER) -> str:
    body = f"{DEFINER}011{issuer}{serial}{version}"
    return f"{licence_id.ROOT}.{DEFINER}011.{issuer}.{serial}.{version}.{licence_id.check_character(body)}"


def test_organisation_code_loses_its_dash() -> None:
    assert organisation_code.validate(ORGANISATION) == "600037341"
    assert organisation_code.error_code(ORGANISATION) == "E_ORGANISATION_CODE_FORM"


def test_check_character_of_an_organisation_may_be_x_or_zero() -> None:
    found = {organisation_code.check_character(f"EX{number:06d}") for number in range(200)}
    assert found == set("0123456789X")


@pytest.mark.parametrize("text", ["", "60003734", "6000373411", "6000373四1", "60003734A"])
def test_organisation_code_of_wrong_form_is_refused(text: str) -> None:
    assert organisation_code.error_code(text) == "E_ORGANISATION_CODE_FORM"


def test_organisation_code_with_wrong_check_character_is_refused() -> None:
    with pytest.raises(InvalidIdentifier) as error:
        organisation_code.validate("60003734-2")
    assert error.value.code == "E_ORGANISATION_CODE_CHECK_DIGIT"
    assert organisation_code.mask("60003734-2") == "6*******2"


@pytest.mark.parametrize("text", ["340000", "340100", "349999", "110101", "830000", "541234"])
def test_region_needs_only_its_province(text: str) -> None:
    assert region.validate(text) == text


@pytest.mark.parametrize("text", ["", "34", "3401", "3401000", "910000", "000000", "34010A", "34 100", "34010٣"])
def test_other_regions_are_refused(text: str) -> None:
    assert region.error_code(text) == "E_REGION_FORM"


def test_region_is_normalised_and_masked_to_its_province() -> None:
    assert region.validate(" 340100 ") == "340100"
    assert region.mask("340104") == "34****"
    with pytest.raises(InvalidIdentifier):
        region.validate("990000")


def test_licence_identifier_tells_its_issuer() -> None:
    text = licence()
    assert licence_id.validate(text.lower()) == text
    assert licence_id.is_valid(text)
    assert licence_id.issuer(text) == ISSUER
    assert "34X7Q" not in licence_id.mask(text)


@pytest.mark.parametrize(
    "wrong", ["", "1.2.156.3005.2", licence(version="000"), licence() + ".1", licence()[:-2], "9" * 60]
)
def test_licence_identifier_of_wrong_form_is_refused(wrong: str) -> None:
    assert licence_id.error_code(wrong) == "E_LICENCE_ID_FORM"
    assert set(licence_id.mask("9" * 60)) == {"*"}


@pytest.mark.parametrize(
    "sample",
    [
        "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
        "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.002.S",
        "1.2.156.3005.2.11100000000013338W087.11370800MB28559184.37080001202411010001.001.3",
    ],
)
def test_public_samples_of_licence_identifiers_are_valid(sample: str) -> None:
    """From a ministry's description of its interface and a test of one: no document stands behind them."""
    assert licence_id.error_code(sample) is None


def test_licence_identifier_that_names_a_region_as_issuer_is_refused() -> None:
    """Some cities write one; whose licence it is could not be told from it."""
    assert licence_id.error_code(licence(issuer="340100")) == "E_LICENCE_ID_FORM"


def test_licence_identifier_of_no_body_is_refused() -> None:
    wrong = ISSUER[:-1] + ("2" if ISSUER[-1] != "2" else "3")
    assert credit_code.error_code(wrong)
    assert licence_id.error_code(licence(issuer=wrong)) == "E_LICENCE_ID_BODY"


def test_licence_identifier_with_wrong_check_character_is_refused() -> None:
    text = licence()
    with pytest.raises(InvalidIdentifier) as error:
        licence_id.validate(text[:-1] + ("0" if text[-1] != "0" else "1"))
    assert error.value.code == "E_LICENCE_ID_CHECK_DIGIT"
