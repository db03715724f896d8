"""What holds for all identifiers, and that the tables of sums are the standards' formulas."""

import string
from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_2, mod_37_36

from exchange.identifiers import IDENTIFIERS, credit_code, licence_id, organisation_code, region, resident_id

MODULES = (credit_code, licence_id, organisation_code, region, resident_id)
CREDIT_CODES = st.builds(
    lambda head, province, rest, body: head + province + rest + body,
    st.sampled_from([first + second for first, kinds in credit_code.KINDS.items() for second in kinds]),
    st.sampled_from(sorted(region.PROVINCES)),
    st.text("0123456789", min_size=4, max_size=4),
    st.text(credit_code.ALPHABET, min_size=9, max_size=9),
).map(lambda body: body + credit_code.check_character(body))
RESIDENT_IDS = st.builds(
    lambda province, county, day, number: f"{province}{county:04d}{day:%Y%m%d}{number:03d}",
    st.sampled_from(sorted(region.PROVINCES)),
    st.integers(0, 9999),
    st.dates(min_value=date(1840, 1, 1), max_value=date(2025, 12, 31)),
    st.integers(0, 999),
).map(lambda body: body + resident_id.check_character(body))


@given(CREDIT_CODES)
def test_credit_codes_are_valid_as_python_stdnum_computes_them(text: str) -> None:
    assert credit_code.error_code(text) is None
    assert uscc.calc_check_digit(text[:17]) == text[17]


@given(RESIDENT_IDS)
def test_resident_ids_are_valid_as_python_stdnum_computes_them(text: str) -> None:
    assert resident_id.error_code(text) is None
    assert ric.calc_check_digit(text) == text[17]
    assert mod_11_2.is_valid(text)


LICENCE_IDS = st.builds(
    lambda definer, number, issuer, serial, version: (f"{definer}{number:03d}", issuer, serial, f"{version:03d}"),
    CREDIT_CODES,
    st.integers(0, 999),
    CREDIT_CODES,
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=32),
    st.integers(1, 999),
)


@given(LICENCE_IDS, st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
def test_licence_ids_are_valid_as_python_stdnum_computes_them(parts: tuple[str, ...], other: str) -> None:
    check = licence_id.check_character("".join(parts))
    assert mod_37_36.calc_check_digit("".join(parts)) == check
    text = ".".join((licence_id.ROOT, *parts, other))
    assert licence_id.error_code(text) == (None if other == check else "E_LICENCE_ID_CHECK_DIGIT")


@given(LICENCE_IDS, st.data())
def test_one_wrong_character_of_a_licence_serial_is_found(parts: tuple[str, ...], data: st.DataObject) -> None:
    definer, issuer, serial, version = parts
    at = data.draw(st.integers(0, len(serial) - 1))
    wrong = serial[:at] + data.draw(st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")) + serial[at + 1 :]
    check = licence_id.check_character("".join(parts))
    text = ".".join((licence_id.ROOT, definer, issuer, wrong, version, check))
    assert (licence_id.error_code(text) is None) == (wrong == serial)


@given(CREDIT_CODES, st.integers(8, 17), st.sampled_from(credit_code.ALPHABET))
def test_one_wrong_character_of_a_credit_code_is_found(text: str, position: int, other: str) -> None:
    wrong = text[:position] + other + text[position + 1 :]
    assert (credit_code.error_code(wrong) is None) == (wrong == text)


@given(RESIDENT_IDS, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_one_wrong_character_of_a_resident_id_is_found(text: str, position: int, other: str) -> None:
    wrong = text[:position] + other + text[position + 1 :]
    assert (resident_id.error_code(wrong) is None) == (wrong == text)


@given(st.text(max_size=70) | st.text(string.ascii_letters + string.digits + " -.", min_size=5, max_size=20))
def test_any_text_gives_a_verdict_and_compacting_twice_changes_nothing(text: str) -> None:
    for module in MODULES:
        clean = module.compact(text)
        assert module.compact(clean) == clean
        assert module.is_valid(text) == (module.error_code(clean) is None)
        module.mask(text)


@given(CREDIT_CODES | RESIDENT_IDS)
def test_what_admission_accepts_is_what_validate_returns(text: str) -> None:
    for module in (IDENTIFIERS["credit-code"], IDENTIFIERS["resident-id"]):
        if module.error_code(text) is None:
            assert module.validate(text) == text
            assert module.validate(f" {text.lower()}-") == text


@given(RESIDENT_IDS)
def test_mask_of_a_resident_id_leaves_nothing_to_go_by(text: str) -> None:
    masked = resident_id.mask(text)
    assert len(masked) == len(text)
    assert not any(one.isdigit() for one in masked[1:17])


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=8, max_size=8))
def test_organisation_codes_are_congruent_to_zero(body: str) -> None:
    text = body + organisation_code.check_character(body)
    assert organisation_code.error_code(text) is None
    values = [int(one, 36) for one in body] + [10 if text[8] == "X" else int(text[8])]
    assert sum(w * v for w, v in zip((3, 7, 9, 10, 5, 8, 4, 2, 1), values, strict=True)) % 11 == 0
