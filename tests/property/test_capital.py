"""The capital parser over every notation of the real register."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.market_regulation import capital

NOTATIONS = {
    "{}(万元)": "CNY",
    "{}万元": "CNY",
    "{}(万)": "CNY",
    "{}万人民币": "CNY",
    "{}万人民币元": "CNY",
    "{}万元人民币": "CNY",
    "{}(万人民币元)": "CNY",
    "{}(万元人民币)": "CNY",
    "{}(万美元)": "USD",
    "{}(万香港元)": "HKD",
    "{}(万欧元)": "EUR",
    "{}(万日元)": "JPY",
    "{}(万新加坡元)": "SGD",
}
"""The words around the number, and the currency they mean. `N/A`, the fourteenth notation, never reaches the parser."""

amounts = st.decimals(min_value=0, max_value=Decimal("9999999999.9999"), places=4)
notations = st.sampled_from(sorted(NOTATIONS))


@given(amounts, notations, st.booleans())
def test_every_notation_gives_its_amount_in_whole_units(amount: Decimal, notation: str, thousands: bool) -> None:
    words = notation.format(f"{amount:,}" if thousands else f"{amount}")
    found = capital.parse(words)
    assert found == capital.Capital((amount * 10_000).quantize(Decimal("0.01")), NOTATIONS[notation])


@given(amounts, notations)
def test_full_width_writing_and_spaces_mean_the_same(amount: Decimal, notation: str) -> None:
    plain = notation.format(f"{amount:,}")
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in plain)
    assert capital.parse(f"\u3000{wide} ") == capital.parse(plain)


@given(st.text(max_size=120))
def test_any_text_gives_an_encodable_amount_or_nothing(words: str) -> None:
    found = capital.parse(words)
    assert found is None or (found.amount >= 0 and found.amount < 10**18 and found.amount.as_tuple().exponent == -2)


@pytest.mark.parametrize(
    "words",
    [
        "1,00万元",  # a comma that separates no thousands
        "1,0000(万元)",
        "1.2.3万元",
        "1万元(",
        "(1万元)",
        "-1万元",
        "万元",
        "1万贝壳",
        "1万美元人民币",
        "约1万元",
        "1" * 25 + "元",
        "0.001元",
        "",
    ],
)
def test_words_that_leave_a_doubt_are_not_read(words: str) -> None:
    assert capital.parse(words) is None


def test_a_hundred_million_is_a_unit() -> None:
    assert capital.parse("1.5亿元") == capital.Capital(Decimal("150000000.00"), "CNY")


def test_a_representation_shows_no_amount() -> None:
    assert "12" not in repr(capital.parse("12万元"))
