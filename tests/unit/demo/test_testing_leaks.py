"""The search for leaks finds a value however it is written."""

import json
from urllib.parse import quote

import pytest

from exchange.testing.leaks import find_leaks

VALUE = "安徽省合肥市云溪路"
NUMBER = "349901198001010015"


@pytest.mark.parametrize(
    "written",
    [VALUE, json.dumps(VALUE), quote(VALUE), repr(VALUE.encode()), f'{{"event": "x{VALUE}y"}}'],
    ids=["plain", "json", "url", "bytes", "inside"],
)
def test_a_value_is_found_however_it_is_written(written: str) -> None:
    assert find_leaks({"log": f"before {written} after", "other": "nothing"}, [VALUE]) == {"log": 1}


def test_case_does_not_hide_a_value() -> None:
    assert find_leaks({"log": "at 91349901ex000001ab"}, ["91349901EX000001AB"]) == {"log": 1}


def test_a_part_of_a_value_is_no_leak_and_short_values_are_not_looked_for() -> None:
    assert find_leaks({"log": NUMBER[:12]}, [NUMBER, NUMBER[:5]]) == {}
