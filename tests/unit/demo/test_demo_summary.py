"""What a person reads at the end of the demo."""

import io

from rich.console import Console

from exchange.avro.lock import SchemaRepository
from exchange.demo.cases import cases
from exchange.demo.flow import Counts
from exchange.demo.summary import Summary
from exchange.settings import Settings

WIDTH = 80


def test_the_table_of_every_record_type_fits_a_small_terminal_with_every_digit() -> None:
    counts = Counts()
    for number, record_type in enumerate(SchemaRepository.load(Settings().schemas).record_types()):
        counts.of(record_type).update(dict.fromkeys(counts.of(record_type), 10_001 + number))
    console = Console(file=io.StringIO(), width=WIDTH)
    satisfaction = {"strict": 1.0, "weighted": 1.0}
    Summary(counts, {"serving": 1}, satisfaction, {}, {}).show(console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    print(shown)
    assert "…" not in shown
    assert f"{counts.total['handed_over']:,}" in shown
    assert all(number in shown for number in ("10,001", "10,011"))


def test_of_every_demand_that_is_not_served_in_full_the_reader_learns_what_it_does_to_the_rate() -> None:
    plain = {"demander": "taxation", "provider": "public-security", "record_type": "population.resident"}
    plain |= {"fields": ["a", "b"], "grants": [], "clocks": {"reply": None}, "extension": None}
    late = {"reply": {"due": "2026-10-22", "overdue": True}}
    demands = [
        {**plain, "demand": "d-1", "state": "refused", "refusal": {"reason": "no duty"}},
        {**plain, "demand": "d-2", "state": "unmatched"},
        {**plain, "demand": "d-3", "state": "submitted", "clocks": late, "extension": {"days": 5}},
        {**plain, "demand": "d-4", "state": "serving", "grants": ["g-1"]},
        {**plain, "demand": "d-5", "state": "serving", "grants": ["g-2"]},
    ]
    found = cases(demands, {"g-1": {"granted_as_asked": ["a"]}, "g-2": {"granted_as_asked": ["a", "b"]}})

    assert [case.demand for case in found] == ["d-1", "d-2", "d-3", "d-4"]
    assert "no duty" in found[0].became and "no department offers it" in found[1].became
    assert "extended by 5 working days, due 2026-10-22, overdue" in found[2].became
    assert found[3].effect == "strict: not satisfied; weighted: 1/2"
    assert all("counts, is not satisfied" in case.effect for case in found[:3])
