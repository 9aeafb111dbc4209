"""Counters, gauges and histograms that the hot path can afford, for a registry of prometheus_client.

Those of prometheus_client take a lock at every change, because any thread may make it, and look through their buckets
one by one. The gateway counts on the thread of its event loop alone; what a change costs here is a quarter.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

Series = TypeVar("Series")
SLICE = 25


class Value:
    """One series of a counter, which only grows, or of a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        self.value += amount

    def dec(self, amount: float = 1) -> None:
        self.value -= amount


class Distribution:
    """One series of a histogram."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def observe(self, amount: float) -> None:
        self.counts[bisect_left(self._bounds, amount)] += 1
        self.sum += amount


class Family(Collector, Generic[Series]):
    """The series of one metric by the values of its labels. Not for threads: changed on the event loop alone."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        create: Callable[[], Series],
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._create = create
        self._series: dict[tuple[str, ...], Series] = {}
        registry.register(self)

    def labels(self, *values: str) -> Series:
        """The series of these values, in the order of the labels; made when it is asked for the first time."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = self._create()
        return series

    def forget(self, **labels: str) -> None:
        """Remove all series with these values of these labels."""
        wanted = [(self._labels.index(label), value) for label, value in labels.items()]
        for values in [values for values in self._series if all(values[at] == value for at, value in wanted)]:
            del self._series[values]

    def describe(self) -> Iterable[Metric]:
        return [self._empty()]

    def collect(self) -> Iterator[Metric]:
        """The metric in slices of a few milliseconds' work: whoever shows it may let requests be answered between."""
        shown = list(self._series.items())
        for start in range(0, max(len(shown), 1), SLICE):
            metric = self._empty()
            for values, series in shown[start : start + SLICE]:
                self._show(metric, values, series)
            yield metric

    def _empty(self) -> Metric:
        raise NotImplementedError

    def _show(self, metric: Metric, values: tuple[str, ...], series: Series) -> None:
        raise NotImplementedError


class CounterFamily(Family[Value]):
    """Totals since the process began."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        super().__init__(name, documentation, labels, registry, Value)

    def _empty(self) -> Metric:
        return CounterMetricFamily(self._name, self._documentation, labels=self._labels)

    def _show(self, metric: Metric, values: tuple[str, ...], series: Value) -> None:
        metric.add_sample(f"{metric.name}_total", dict(zip(self._labels, values, strict=True)), series.value)


class GaugeFamily(Family[Value]):
    """What is true now."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        super().__init__(name, documentation, labels, registry, Value)

    def _empty(self) -> Metric:
        return GaugeMetricFamily(self._name, self._documentation, labels=self._labels)

    def _show(self, metric: Metric, values: tuple[str, ...], series: Value) -> None:
        metric.add_sample(metric.name, dict(zip(self._labels, values, strict=True)), series.value)


class HistogramFamily(Family[Distribution]):
    """How often an amount was at most each of ``bounds``."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        *,
        bounds: Sequence[float],
    ) -> None:
        super().__init__(name, documentation, labels, registry, lambda: Distribution(bounds))
        self._bounds = [*(str(float(bound)) for bound in bounds), "+Inf"]

    def _empty(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._documentation, labels=self._labels)

    def _show(self, metric: Metric, values: tuple[str, ...], series: Distribution) -> None:
        labels = dict(zip(self._labels, values, strict=True))
        totals = list(accumulate(series.counts))
        for bound, total in zip(self._bounds, totals, strict=True):
            metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, total)
        metric.add_sample(f"{metric.name}_count", labels, totals[-1])
        metric.add_sample(f"{metric.name}_sum", labels, series.sum)
