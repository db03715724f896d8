"""Citizen's identification numbers (GB 11643). All have a county never assigned, or a birth date before 1900."""

from datetime import date, timedelta

import pytest

from exchange.errors import InvalidIdentifier
from exchange.identifiers import resident_id


def id_of(body: str) -> str:
    return body + resident_id.check_character(body)


GENERATED = id_of("34990119800101001")


def test_generated_id_is_valid() -> None:
    assert resident_id.validate(GENERATED) == GENERATED
    assert resident_id.birth_date(GENERATED) == date(1980, 1, 1)


@pytest.mark.parametrize("county", ["340103", "340202", "341126", "110100", "349999"])
def test_county_that_did_not_exist_in_the_birth_year_is_accepted(county: str) -> None:
    assert resident_id.error_code(id_of(f"{county}18600101001")) is None


@pytest.mark.parametrize("province", ["11", "15", "21", "23", "31", "37", "41", "46", "50", "54", "61", "65", "71"])
def test_every_province_is_accepted(province: str) -> None:
    assert resident_id.error_code(id_of(f"{province}990119800101001")) is None


@pytest.mark.parametrize("place", ["810000", "820000", "830000"])
def test_residence_permits_of_hong_kong_macao_and_taiwan_are_accepted(place: str) -> None:
    assert resident_id.error_code(id_of(f"{place}18800101001")) is None


@pytest.mark.parametrize("province", ["00", "10", "16", "24", "47", "55", "66", "72", "84", "90", "91", "99"])
def test_other_provinces_are_refused_foreigners_cards_too(province: str) -> None:
    assert resident_id.error_code(id_of(f"{province}990119800101001")) == "E_RESIDENT_ID_REGION"


@pytest.mark.parametrize("day", ["19800230", "19810229", "19000229", "19801301", "19800100", "18390101", "00000101"])
def test_impossible_birth_date_is_refused(day: str) -> None:
    assert resident_id.error_code(id_of(f"349901{day}001")) == "E_RESIDENT_ID_BIRTH"


@pytest.mark.parametrize("day", ["20000229", "19800229", "18400101", "19991231"])
def test_possible_birth_date_is_accepted(day: str) -> None:
    assert resident_id.error_code(id_of(f"349901{day}001")) is None


def test_birth_after_the_given_day_is_refused() -> None:
    assert resident_id.is_valid(GENERATED, on=date(1980, 1, 1))
    assert not resident_id.is_valid(GENERATED, on=date(1979, 12, 31))
    with pytest.raises(InvalidIdentifier) as error:
        resident_id.validate(GENERATED, on=date(1979, 12, 31))
    assert error.value.code == "E_RESIDENT_ID_BIRTH"


def test_nobody_is_born_tomorrow() -> None:
    today = date.today()
    unborn = id_of(f"349901{today + timedelta(days=2):%Y%m%d}001")
    assert resident_id.error_code(unborn) == "E_RESIDENT_ID_BIRTH"
    assert resident_id.error_code(unborn, on=today + timedelta(days=2)) is None
    assert resident_id.error_code(id_of(f"349901{today - timedelta(days=2):%Y%m%d}001")) is None


def test_lower_case_x_is_normalised_by_validate_and_refused_by_admission() -> None:
    with_x = next(one for one in map(id_of, (f"34990119800101{number:03d}" for number in range(100))) if one[17] == "X")
    assert resident_id.validate(with_x.lower()) == with_x
    assert resident_id.error_code(with_x.lower()) == "E_RESIDENT_ID_FORM"


@pytest.mark.parametrize(
    "text",
    [
        "",
        GENERATED[:15],
        GENERATED[:17],
        GENERATED + "0",
        "34990119800101001A",
        "3499O1198001010015",
        "٣" * 18,
        "3" * 17 + "³",
    ],
)
def test_wrong_form_is_refused(text: str) -> None:
    assert resident_id.error_code(text) == "E_RESIDENT_ID_FORM"


def test_wrong_check_character_is_refused() -> None:
    wrong = GENERATED[:17] + ("0" if GENERATED[17] != "0" else "1")
    assert resident_id.error_code(wrong) == "E_RESIDENT_ID_CHECK_DIGIT"


def test_mask_and_error_hide_the_person() -> None:
    assert resident_id.mask(GENERATED) == "3" + "*" * 16 + GENERATED[-1]
    assert resident_id.mask("王小明") == "***"
    with pytest.raises(InvalidIdentifier) as error:
        resident_id.validate(GENERATED[:17] + "?")
    assert GENERATED[:6] not in str(error.value)
