"""Reports: what sources say of themselves in `report.<department>`. Their own word, and only their own harm."""

import re
from collections.abc import Collection, Iterator

from exchange import names
from exchange.broker.evidence.followed import Followed, Take
from exchange.broker.evidence.line_states import Follow
from exchange.broker.evidence.receipts import MOST, is_of_our_time
from exchange.clock import Deadline
from exchange.intake.report import SourceReport, decode
from exchange.kafka.client.message import Message
from exchange.names import Department

_CONNECTORS = 100
"""Of one department; reports of more are not listened to: the topic is written by a department."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
"""What a connector is called. Other names are not listened to, because this one is shown."""
_CODE = re.compile(r"E_[A-Z0-9_]{1,60}")


class Reports:
    """Follows `report.*`. Used by one thread."""

    def __init__(self, follow: Follow, *others: Take) -> None:
        """others: who else takes from these topics."""
        self._latest: dict[Department, dict[str, SourceReport]] = {}
        self._followed = Followed(names.report_topic(Department("")), follow, self._take, *others)

    @property
    def whole(self) -> bool:
        """Whether all reports have been read once."""
        return self._followed.whole

    def refresh(self, topics: Collection[str], deadline: Deadline) -> None:
        """Read to the end, or until the deadline. `topics`: every topic there is."""
        self._followed.refresh(topics, deadline)

    def all(self) -> Iterator[tuple[Department, SourceReport]]:
        """The last report of every source, with the department that wrote it."""
        for department, reports in self._latest.items():
            for report in reports.values():
                yield department, report

    def close(self) -> None:
        """Let go of the client."""
        self._followed.close()

    def _take(self, department: str, message: Message) -> None:
        connector = (message.key() or b"").decode(errors="replace")
        known = self._latest.setdefault(Department(department), {})
        value = message.value()
        if value is None:
            known.pop(connector, None)
            return
        report = decode(value)
        if report is None or report.connector != connector or not _is_plausible(report):
            return
        if connector in known or len(known) < _CONNECTORS:
            known[connector] = report


def _is_plausible(report: SourceReport) -> bool:
    named = _NAME.fullmatch(report.connector) and (report.code is None or _CODE.fullmatch(report.code))
    moments = (report.since, report.at, report.set_aside_since, report.compared_at)
    return (
        bool(named)
        and max(report.rows, report.set_aside, report.held) < MOST
        and all(moment is None or is_of_our_time(moment) for moment in moments)
    )
