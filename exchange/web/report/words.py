"""What the yearly report calls things, and how it explains its figures, in Chinese and English."""

from collections.abc import Mapping
from typing import Final

from exchange.broker.rate.companions import CORRECTION, DELIVERY, REPLY, REVIEW
from exchange.catalogue.words import Text

TITLE: Final = Text("跨部门信息共享需求满足率年度报告", "Yearly report on the shared-demand satisfaction rate")
CLOCKS: Final[Mapping[str, Text]] = {
    REVIEW: Text("审核", "review"),
    REPLY: Text("答复", "reply"),
    DELIVERY: Text("提供", "delivery"),
    CORRECTION: Text("校核答复", "correction"),
}
CAUSES: Final[Mapping[str, Text]] = {
    "grantee": Text("使用方未及时接收", "the grantee does not take its records"),
    "exchange": Text("交换平台延迟", "the exchange is behind"),
    "provider": Text("数源部门无更新", "the source gives no sign of life"),
}
STATES: Final[Mapping[str, Text]] = {
    "incomplete": Text("材料不全", "incomplete"),
    "submitted": Text("待答复", "awaiting reply"),
    "unmatched": Text("目录无对应资源", "unmatched"),
    "in-review": Text("审核中", "in review"),
    "consented": Text("已同意", "consented"),
    "refused": Text("已拒绝", "refused"),
    "activating": Text("开通中", "activating"),
    "serving": Text("正常服务", "serving"),
    "breached": Text("服务不达标", "in breach"),
    "suspended": Text("暂停", "suspended"),
    "ended": Text("已结束", "ended"),
    "withdrawn": Text("已撤回", "withdrawn"),
}
GROUPS: Final[Mapping[str, tuple[Text, Text]]] = {
    "registry": (Text("按基础信息库", "By registry"), Text("基础信息库", "Registry")),
    "demander": (Text("按需求部门", "By demanding department"), Text("需求部门", "Demander")),
    "provider": (Text("按提供部门", "By providing department"), Text("提供部门", "Provider")),
}
NOBODY: Final = Text("目录中尚无提供部门", "no provider in the catalogue yet")
COMPETENT: Final = Text("政务数据共享主管部门", "the competent department")

METHOD: Final = (
    Text(
        "计入：需求材料齐全、统计时点在其使用期限之内、且未被需求部门撤回。被拒绝的需求和目录中没有对应资源的需求仍然计入分母。",
        "Counted: a demand that is complete, whose use period includes the moment, and that its demander has not "
        "withdrawn. Refused demands and demands that match no catalogue entry stay in the denominator.",
    ),
    Text(
        "满足：该需求至少有一项授权已开通、首次提供已完成、且无未消除的时效违约。纸面同意不算满足。",
        "Satisfied: at least one grant of it is active, first delivered, and in no open breach of the agreed "
        "freshness. A consent on paper satisfies nobody.",
    ),
    Text(
        "严格满足率（主指标）＝全部所需信息项按所需形式、全部所需范围均获提供的需求数÷计入的需求数。脱敏强于所需或范围小于所需的，不计为严格满足。",
        "Strict (the headline): demands served with every asked field as asked and the whole asked scope ÷ counted "
        "demands. A stronger mask or a narrower scope than asked is never strict.",
    ),
    Text(
        "加权满足率＝各满足需求按所需形式提供的信息项占比之和÷计入的需求数。",
        "Weighted: the sum, over satisfied demands, of fields granted as asked ÷ fields asked, divided by counted "
        "demands.",
    ),
    Text(
        "时间加权满足率＝期间内需求严格满足的时长之和÷计入的时长之和，年末突击对它几乎没有作用。",
        "Time-weighted: Σ time satisfied strictly ÷ Σ time counted over the period; a rush at the end of the year "
        "hardly moves it.",
    ),
    Text(
        "按事项满足率：同一需求部门向同一提供部门提出的同一类数据的全部需求视为一个事项，全部严格满足才算满足。按信息项满足率＝按所需形式获提供的信息项数÷所需信息项数。",
        "By need: all that one demander asks of one record type of one provider is one need, satisfied when every "
        "demand of it is. By field: fields granted as asked and served ÷ fields asked.",
    ),
    Text(
        "按时率：每项法定期限只在一个日期判定一次：按时完成的，在完成之日；逾期的，在期限届满次日。答复为1个或10个工作日（可延长至多10个），开通为同意后20个工作日，校核答复为10个工作日（政务数据共享条例第21、22、26条）。",
        "On time: every statutory duty is judged once, on the day it was done in time, or on the day after its due "
        "day. Reply 1 or 10 working days (extended by at most 10), delivery 20 after consent, correction 10 "
        "(Order 809, art. 21, 22, 26).",
    ),
)
"""How every figure is defined."""

LIMITS: Final = (
    Text(
        "公开文件未给出需求满足率的计算公式，以上为本平台的定义，与其他口径不可直接比较。",
        "No published text gives a formula for this rate. The definition is one of this exchange and is not comparable "
        "with other ways of counting.",
    ),
    Text(
        "同一部门对同一资源、同一使用场景只能有一件需求；虚设使用场景仍会抬高严格满足率，按事项满足率不受影响。"
        "两者相差明显时，应核查使用场景。",
        "A department has one demand for one scenario on one resource. Invented scenarios still raise the strict rate, "
        "but not the rate by need: where the two are far apart, look at the scenarios.",
    ),
    Text(
        "约定的时效可以宽于需求所需，共享数据也可以至今没有记录；这两种情形按定义仍算满足，其件数单列。",
        "A provider may agree to a freshness laxer than wanted, and a share may have held no record so far. By the "
        "definition both satisfy; how many do is told.",
    ),
    Text(
        "被撤回的需求退出分母；撤回前未满足的件数单列。",
        "A withdrawn demand leaves the denominator; those withdrawn unsatisfied are listed beside it.",
    ),
    Text(
        "接收位置由使用方自报，超出实际末尾的不予认可；本平台的接收程序另有回执。数据内容是否正确，本报告不作评价。",
        "What was taken is what the grantee says, which is refused when it lies beyond the end; the sinks of "
        "this exchange add receipts. Whether records are right is not told here.",
    ),
    Text(
        "未公布放假安排年份的期限按周末推算，标为暂定，公布后自动重算。",
        "Deadlines in a year whose holidays are not announced count weekends only; they are marked provisional and "
        "computed again after the announcement.",
    ),
)
"""What the figures cannot say."""
