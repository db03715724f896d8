"""Benches are run by hand, so a test tells when one cannot even begin."""

import importlib
from pathlib import Path

import pytest

BENCHES = sorted(file.stem for file in (Path(__file__).parents[2] / "bench").glob("bench_*.py"))


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_finds_what_it_measures(name: str) -> None:
    importlib.import_module(f"tests.bench.{name}")
