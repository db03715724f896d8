"""What the pages say of connectors, in Chinese and English."""

from collections.abc import Mapping
from typing import Final

from exchange.catalogue.words import Text

CONNECTORS: Final[Mapping[str, Text]] = {
    "set_aside": Text("搁置的数据", "Set aside"),
    "set_aside_hint": Text(
        "这些数据无法读取、映射或写入，等待更正。逐条查看：",
        "These could not be read, mapped or written, and wait to be mended. To look at them one by one:",
    ),
    "side.source": Text("数源", "Source"),
    "side.sink": Text("落地", "Sink"),
    "source_state.working": Text("运行中", "working"),
    "source_state.away": Text("连接中断，等待恢复", "away: it waits until it can read again"),
    "source_state.stopped": Text("已停止，须由提供部门处理", "stopped: its department has to mend it"),
    "source_sets_aside": Text("数源共{of}行，其中{n}行被搁置", "the source has set aside {n} of {of} rows"),
    "sink_sets_aside": Text(
        "使用方接收的{of}条记录中有{n}条被搁置", "the sink has set aside {n} of the {of} records it took"
    ),
    "sets_aside": Text("共{of}条，其中{n}条被搁置", "{n} of {of} set aside"),
    "too_many": Text("超过二十分之一，属于不达标", "more than a twentieth, which is a breach"),
    "reason.set-aside": Text("搁置过多", "too much is set aside"),
}
