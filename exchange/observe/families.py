"""Kinds of metrics that prometheus_client lacks: gauges replaced as a whole, and a histogram fed by batches."""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry


class GaugeFamily(Collector):
    """Gauges of one name. A sample that is not set does not exist: it is never a stale or an invented number."""

    def __init__(self, registry: CollectorRegistry, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def set(self, value: float, *labels: str) -> None:
        """Set the sample with these label values, in the order of the declaration."""
        if len(labels) != len(self._labels):
            raise ValueError(f"{self._name} has labels {self._labels}")
        with self._lock:
            self._values[labels] = value

    def drop(self, *labels: str) -> None:
        """Remove one sample; it is no error if there is none."""
        with self._lock:
            self._values.pop(labels, None)

    def replace(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Make exactly these samples exist."""
        if any(len(labels) != len(self._labels) for labels in values):
            raise ValueError(f"{self._name} has labels {self._labels}")
        with self._lock:
            self._values = dict(values)

    def read(self) -> dict[tuple[str, ...], float]:
        """All samples by their label values."""
        with self._lock:
            return dict(self._values)

    def collect(self) -> Iterator[Metric]:
        """The family as Prometheus reads it."""
        family = GaugeMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, value in sorted(self.read().items()):
            family.add_metric(labels, value)
        yield family

    def describe(self) -> Iterable[Metric]:
        """The family without samples."""
        return [GaugeMetricFamily(self._name, self._meaning, labels=self._labels)]


class AgeFamily(GaugeFamily):
    """Gauges that are set to moments (seconds since 1970) and show how long ago those are, whenever they are read."""

    def collect(self) -> Iterator[Metric]:
        """The family as Prometheus reads it."""
        now = time.time()
        family = GaugeMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, moment in sorted(self.read().items()):
            family.add_metric(labels, max(0.0, now - moment))
        yield family


class HistogramFamily(Collector):
    """A histogram with one label that takes many equal or different observations at a time."""

    def __init__(
        self, registry: CollectorRegistry, name: str, meaning: str, label: str, bounds: Sequence[float]
    ) -> None:
        self._name = name
        self._meaning = meaning
        self._label = label
        self._bounds = tuple(bounds)
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, label: str, value: float, count: int = 1) -> None:
        """Note that `value` was seen `count` times."""
        with self._lock:
            counts = self._counts.setdefault(label, [0] * (len(self._bounds) + 1))
            counts[bisect_left(self._bounds, value)] += count
            self._sums[label] = self._sums.get(label, 0.0) + value * count

    def collect(self) -> Iterator[Metric]:
        """The histogram as Prometheus reads it."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=[self._label])
        with self._lock:
            for label, counts in sorted(self._counts.items()):
                family.add_metric([label], list(self._cumulated(counts)), self._sums[label])
        yield family

    def describe(self) -> Iterable[Metric]:
        """The family without samples."""
        return [HistogramMetricFamily(self._name, self._meaning, labels=[self._label])]

    def _cumulated(self, counts: Sequence[int]) -> Iterator[tuple[str, float]]:
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
            total += count
            yield bound, float(total)
