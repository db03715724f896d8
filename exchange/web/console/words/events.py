"""What the events of the ledger are called, and why grants end, in Chinese and English."""

from collections.abc import Mapping
from typing import Final

from exchange.catalogue.words import Text

EVENTS: Final[Mapping[str, Text]] = {
    "event.demand-submitted": Text("提出需求", "Demand submitted"),
    "event.supplement-requested": Text("要求补充材料", "Supplement requested"),
    "event.demand-supplemented": Text("补充材料", "Supplemented"),
    "event.demand-matched": Text("匹配到数据资源", "Matched with a resource"),
    "event.demand-reviewed": Text("主管部门审核", "Reviewed by the competent department"),
    "event.extension-requested": Text("申请延期答复", "Extension asked for"),
    "event.reply-extended": Text("批准延期答复", "Reply extended"),
    "event.demand-consented": Text("同意", "Consented"),
    "event.demand-refused": Text("拒绝", "Refused"),
    "event.demand-withdrawn": Text("撤回需求", "Withdrawn"),
    "event.demand-transferred": Text("移交承继部门", "Transferred to a successor"),
    "event.dispute-opened": Text("提出争议", "Dispute opened"),
    "event.dispute-escalated": Text("争议提交上一级", "Dispute taken one level up"),
    "event.dispute-settled": Text("争议办结", "Dispute settled"),
    "event.share-assigned": Text("分配共享通道", "Share assigned"),
    "event.grant-activated": Text("开通", "Activated"),
    "event.first-delivered": Text("首次提供完成", "First delivered"),
    "event.freshness-broken": Text("出现不达标", "Breach began"),
    "event.freshness-restored": Text("不达标消除", "Breach ended"),
    "event.grant-suspended": Text("暂停授权", "Grant suspended"),
    "event.grant-resumed": Text("恢复授权", "Grant resumed"),
    "event.suspension-lifted": Text("解除一方的暂停", "One suspension lifted"),
    "event.grant-amended": Text("变更授权", "Grant amended"),
    "event.share-switched": Text("切换到新的共享通道", "Changed over to the next share"),
    "event.share-left": Text("原共享通道停止读取", "Former share left"),
    "event.grant-ended": Text("授权结束", "Grant ended"),
    "event.expiry-announced": Text("到期提醒", "End announced"),
    "event.data-disposed": Text("确认数据处置", "Disposal confirmed"),
    "event.use-recorded": Text("登记使用情况", "Use recorded"),
    "event.correction-submitted": Text("提出校核", "Correction submitted"),
    "event.correction-answered": Text("答复校核", "Correction answered"),
    "event.correction-closed": Text("校核办结", "Correction closed"),
    "event.department-succeeded": Text("部门承继", "Succession of departments"),
    "event.resource-published": Text("资源发布", "Resource published"),
    "end.revoked": Text("被终止", "revoked"),
    "end.expired": Text("到期", "expired"),
    "end.withdrawn": Text("需求撤回", "demand withdrawn"),
    "end.purpose-ended": Text("目的已实现或不再需要", "purpose ended"),
    "end.department-ended": Text("部门撤销", "department ended"),
    "end.department-merged": Text("部门合并", "departments merged"),
}
