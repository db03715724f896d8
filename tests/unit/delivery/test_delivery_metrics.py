"""What the delivery line shows of itself."""

from exchange.clock import SystemClock
from exchange.delivery import line_metrics
from exchange.delivery.line_metrics import LineMetrics
from exchange.delivery.state import Counts, UnitState
from exchange.kafka.line.unit import UnitId
from exchange.observe import metrics

TYPE = "legal-entity.report-test"


def shown() -> dict[tuple[str, ...], float]:
    return {labels[1:]: value for labels, value in metrics.BOOKS.read().items() if labels[0] == TYPE and value}


def test_books_of_all_units_are_shown_together_until_a_unit_goes_elsewhere(monkeypatch):
    monkeypatch.setattr(line_metrics, "_PUBLISH_SECONDS", 0.0)
    told = LineMetrics(SystemClock())
    first, second = UnitState(counts={"s": Counts(3, 2, 1)}), UnitState(counts={"s": Counts(4, 4), "t": Counts(1, 1)})
    told.committed(UnitId(TYPE, 0), first, (Counts(), Counts()), None)
    told.committed(UnitId(TYPE, 1), second, (Counts(), Counts()), None)
    told.publish()
    assert shown()[("s", "taken")] == 7
    assert metrics.BOOKS_DIFFERENCE.read()[(TYPE, "s")] == 0
    del second
    told.publish()
    assert shown() == {("s", "taken"): 3, ("s", "forwarded"): 2, ("s", "retracted"): 1}
    assert (TYPE, "t") not in metrics.BOOKS_DIFFERENCE.read()
