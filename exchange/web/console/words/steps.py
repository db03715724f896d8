"""What the forms are called, explain, and ask for, in Chinese and English."""

from collections.abc import Mapping
from typing import Final

from exchange.catalogue.words import Text


def _step(name: str, title: Text, about: Text, done: Text) -> dict[str, Text]:
    """The words of one form: its title (also on its button), what it is for, and what is said when it is done."""
    return {f"step.{name}": title, f"about.{name}": about, f"do.{name}": title, f"done.{name}": done}


STEPS: Final[Mapping[str, Text]] = {
    **_step(
        "submit",
        Text("提出需求", "Demand this"),
        Text("选择信息项，写明依据和用途", "choose fields, and say on which basis and for what"),
        Text("需求已提出。", "The demand is submitted."),
    ),
    **_step(
        "supplement",
        Text("补充材料", "Supplement"),
        Text("补充缺少或被要求的材料", "add what is missing or was asked for"),
        Text("材料已补充。", "The demand is supplemented."),
    ),
    **_step(
        "request-supplement",
        Text("要求补充材料", "Ask for a supplement"),
        Text("一次性告知全部缺少的材料", "name everything that is missing, at once"),
        Text("已告知需求部门补充材料。", "The demander is asked for a supplement."),
    ),
    **_step(
        "review",
        Text("审核通过", "Pass the review"),
        Text("转提供部门答复", "send the demand on to its provider"),
        Text("审核已通过，转提供部门答复。", "The demand has passed and is before its provider."),
    ),
    **_step(
        "send-back",
        Text("退回补充", "Send back"),
        Text("列明全部缺少的材料", "name everything that is missing"),
        Text("已退回需求部门补充。", "The demand is sent back to its demander."),
    ),
    **_step(
        "consent",
        Text("同意共享", "Consent"),
        Text("全部或部分信息项，可加强脱敏、缩小范围", "to all or some fields; perhaps masked more, for fewer rows"),
        Text("已同意，授权即将开通。", "Consented. The grant will be activated."),
    ),
    **_step(
        "refuse",
        Text("拒绝", "Refuse"),
        Text("须说明理由；不予共享的须有法定依据", "with a reason; for what is not shared with its legal basis"),
        Text("已拒绝。", "The demand is refused."),
    ),
    **_step(
        "extend",
        Text("申请延期答复", "Ask for more time"),
        Text("一次，至多10个工作日，由主管部门批准", "once, at most 10 working days; the competent department decides"),
        Text("已提交。", "Asked for."),
    ),
    **_step(
        "give-extension",
        Text("批准延期答复", "Extend the reply"),
        Text("按申请的天数，或另定天数", "by what was asked, or by another number of days"),
        Text("已延期。", "The reply is extended."),
    ),
    **_step(
        "withdraw",
        Text("撤回需求", "Withdraw the demand"),
        Text("相应授权随之结束", "its grants end with it"),
        Text("需求已撤回。", "The demand is withdrawn."),
    ),
    **_step(
        "renew",
        Text("续期", "Renew"),
        Text("为使用期限届满之后提出新的需求", "ask for the time after the use period"),
        Text("续期需求已提出。", "The renewal is submitted."),
    ),
    **_step(
        "dispute",
        Text("提出争议", "Dispute"),
        Text("对答复、逾期、提供或使用有异议", "a reply, its absence, or how data are served or used"),
        Text("争议已提出，先由双方协商。", "The dispute is open; it begins with negotiation."),
    ),
    **_step(
        "escalate",
        Text("提交上一级", "Take the dispute up"),
        Text("协商不成的，由主管部门、本级政府处理", "to the competent department, then to the government"),
        Text("争议已提交上一级。", "The dispute is one level up."),
    ),
    **_step(
        "settle",
        Text("办结争议", "Settle the dispute"),
        Text("记录处理结果", "record how it ended"),
        Text("争议已办结。", "The dispute is settled."),
    ),
    **_step(
        "suspend",
        Text("暂停授权", "Suspend"),
        Text("使用部门立即不能再读取", "the grantee cannot read any more, at once"),
        Text("授权已暂停。", "The grant is suspended."),
    ),
    **_step(
        "resume",
        Text("恢复授权", "Resume"),
        Text("使用部门可继续读取", "the grantee may read on"),
        Text("授权已恢复。", "The grant goes on."),
    ),
    **_step(
        "amend",
        Text("变更授权", "Amend"),
        Text("在所需范围内调整信息项、脱敏、范围", "change fields, masks or rows, within what was asked"),
        Text("变更已登记，就绪后切换。", "The amendment is noted; it changes over when ready."),
    ),
    **_step(
        "revoke",
        Text("终止授权", "Revoke"),
        Text("永久终止，须说明理由", "end it for good, with a reason"),
        Text("授权已终止。", "The grant is revoked."),
    ),
    **_step(
        "recover",
        Text("修复共享通道", "Mend the share"),
        Text("中止的原因排除之后", "after the cause of its suspension is removed"),
        Text("已安排修复。", "It will be mended."),
    ),
    **_step(
        "end-purpose",
        Text("结束使用", "End the purpose"),
        Text(
            "目的已实现、无法实现或不再需要；随后须处置数据", "it is met or gone; then the data are to be disposed of"
        ),
        Text("授权已结束，请处置数据并确认。", "The grant has ended. Dispose of the data, and confirm it."),
    ),
    **_step(
        "confirm-disposal",
        Text("确认数据处置", "Confirm the disposal"),
        Text("已获取的数据已按要求处置", "what was taken has been disposed of"),
        Text("已确认。", "Confirmed."),
    ),
    **_step(
        "record-use",
        Text("登记使用情况", "Record a use"),
        Text("场景、过程、成效、存储情况", "scenario, process, effect and storage"),
        Text("已登记。", "The use is recorded."),
    ),
    **_step(
        "doubt",
        Text("提出校核", "Doubt a record"),
        Text("数据有误的，请提供部门核实更正", "something in a record seems wrong: ask its provider"),
        Text("校核已提出，提供部门应在10个工作日内答复。", "Submitted. The provider answers within 10 working days."),
    ),
    **_step(
        "answer",
        Text("答复校核", "Answer"),
        Text("已更正、已撤回，或经核实无误", "corrected, withdrawn, or right as it is"),
        Text("已答复。", "Answered."),
    ),
    "input.fields": Text("信息项", "Fields"),
    "input.scope": Text("数据范围", "Rows"),
    "input.legal_basis": Text("法律依据", "Legal basis"),
    "input.scenario": Text("使用场景", "Scenario"),
    "input.use_scope": Text("使用范围", "Use scope"),
    "input.replaces": Text(
        "替代的原需求编号（新需求全部满足后，原需求自动撤回）",
        "Replaces (your open demand, withdrawn once this one is served in full)",
    ),
    "input.mode": Text("共享方式", "Mode"),
    "input.use_from": Text("开始使用日期", "First day of use"),
    "input.use_until": Text("最后使用日期", "Last day of use"),
    "input.until": Text("授权最后一天", "Last day of the grant"),
    "input.freshness_hours": Text("时效要求（小时）", "Freshness (hours)"),
    "input.answer": Text("补充说明", "Answer in words"),
    "input.missing": Text("缺少的材料", "What is missing"),
    "input.note": Text("备注", "Note"),
    "input.days": Text("工作日数", "Working days"),
    "input.reason": Text("理由", "Reason"),
    "input.conditions": Text("共享条件", "Conditions"),
    "input.grounds": Text("争议事由", "Grounds"),
    "input.outcome": Text("处理结果", "Outcome"),
    "input.how": Text("处置方式", "How they were disposed of"),
    "input.process": Text("使用过程", "Process"),
    "input.effect": Text("应用成效", "Effect"),
    "input.storage": Text("存储情况", "Storage"),
    "input.record": Text("记录主键", "Key of the record"),
    "input.doubt": Text("疑义说明", "What is doubted, in words"),
    "input.finding": Text("核实结果", "What was found"),
    "input.words": Text("说明", "In words"),
    "choice.batch-exchange": Text("批量交换", "batch exchange"),
    "choice.file-download": Text("文件下载", "file download"),
    "choice.upheld": Text("维持提供部门的处理", "the provider's act stands"),
    "choice.agreed": Text("双方达成一致", "the parties agreed"),
    "choice.reply-again": Text("提供部门重新答复", "the provider replies again"),
    "choice.corrected": Text("已更正", "corrected"),
    "choice.withdrawn": Text("已撤回该记录", "withdrawn"),
    "choice.right-as-it-is": Text("经核实无误", "right as it is"),
}
