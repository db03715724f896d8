"""What the delivery line shows of itself."""

from exchange.clock import SystemClock
from exchange.delivery import report as report_module
from exchange.delivery.report import Report
from exchange.delivery.state import Counts, UnitState
from exchange.kafka.line.unit import UnitId
from exchange.observe import metrics

TYPE = "legal-entity.report-test"


def shown() -> dict[tuple[str, ...], float]:
    return {labels[1:]: value for labels, value in metrics.BOOKS.read().items() if labels[0] == TYPE and value}


def test_books_of_all_units_are_shown_together_until_a_unit_goes_elsewhere(monkeypatch):
    monkeypatch.setattr(report_module, "_PUBLISH_SECONDS", 0.0)
    report = Report(SystemClock())
    first, second = UnitState(counts={"s": Counts(3, 2, 1)}), UnitState(counts={"s": Counts(4, 4), "t": Counts(1, 1)})
    report.committed(UnitId(TYPE, 0), first, (Counts(), Counts()), None)
    report.committed(UnitId(TYPE, 1), second, (Counts(), Counts()), None)
    report.publish()
    assert shown()[("s", "taken")] == 7
    assert metrics.BOOKS_DIFFERENCE.read()[(TYPE, "s")] == 0
    del second
    report.publish()
    assert shown() == {("s", "taken"): 3, ("s", "forwarded"): 2, ("s", "retracted"): 1}
    assert (TYPE, "t") not in metrics.BOOKS_DIFFERENCE.read()
