"""The year's report counted again from an exported ledger, by the words of the definition and nothing of the product.

Used as a program: `python year_recount.py LEDGER.jsonl YEAR` prints JSON. Every demand is lived through on its own:
what it is after each of its events, and between them its use period decides. The ledger holds the whole year.
"""

# ruff: noqa: C901, B905, RUF007
# fmt: off
import json
import sys
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

import chinese_calendar

SHANGHAI, BY = timezone(timedelta(hours=8)), ("registry", "demander", "provider")

def time_of(text):
    return None if text is None else datetime.fromisoformat(text)

def day_of(moment):
    return moment.astimezone(SHANGHAI).date()

def works(day):
    try:
        return chinese_calendar.is_workday(day)
    except NotImplementedError:  # not announced: only the weekends are known
        return day.weekday() < 5

def due(start, days):
    day = day_of(start)
    while days > 0:
        day += timedelta(days=1)
        days -= works(day)
    return day

def working_between(start, end):
    return sum(works(day_of(start) + timedelta(days=n + 1)) for n in range((day_of(end) - day_of(start)).days))

class Demand:
    """One demand: its facts, its grants, and `stretches`: (since, what it is) after each event."""

    def __init__(self, data, at):
        self.id, self.facts, self.grants = data["demand"], dict(data), {}
        self.use_from, self.use_until = time_of(data["use_from"]), time_of(data["use_until"])
        self.complete, self.matched = at if data["complete"] else None, at if data["provider"] else None
        self.reviewed = self.withdrawn = self.replied = self.extended = None
        self.asked_more, self.replies, self.withdrawals, self.stretches = [], [], [], []

    def take(self, event, data, at):
        grant, group = self.grants.get(data.get("grant")), tuple(self.facts[name] or "" for name in BY)
        if event == "demand-supplemented":
            self.facts |= {name: data[name] for name in ("fields", "reply_days") if "fields" in data and name in data}
            self.asked_more = [(begin, end or at, *more) for begin, end, *more in self.asked_more]
            self.complete = self.complete or (at if data["complete"] else None)
        elif event == "supplement-requested" and all(end for _, end, *_ in self.asked_more):
            self.asked_more.append((at, None, data["pauses"], self.facts["review"] and not self.reviewed))
        elif event == "demand-matched":
            self.facts |= {name: data[name] for name in ("provider", "review", "reply_days")}
            self.matched = at
        elif event == "demand-reviewed":
            self.reviewed = at if data["passed"] else None
        elif event == "reply-extended":
            self.extended = data["days"]
        elif event in ("demand-refused", "demand-consented"):
            self.replied = self.replied or at
            self.replies.append((at, event == "demand-refused", data.get("legal_basis"), group))
            if event == "demand-consented":
                for before in self.grants.values():
                    before["closed"] = before["closed"] or at
                fresh = dict.fromkeys(("share", "active", "ended", "closed", "suspended", "delivered"))
                self.grants[data["grant"]] = {"consented": at, "causes": set(), "broken": [], **fresh, **data}
        elif event == "demand-withdrawn":
            self.withdrawals += [(at, what["strict"], group) for what in [self.at(at)] if what]
            self.withdrawn = at
        elif event in ("demand-transferred", "department-succeeded"):
            self.facts["demander"] = data.get("to") or data["transfers"].get(self.id, self.facts["demander"])
            for name in self.grants.keys() & data.get("ended", {}).keys():
                self.change("grant-ended", self.grants[name], data, at)
        elif grant is not None:
            self.change(event, grant, data, at)
        self.stretches.append((at, self.what()))

    def change(self, event, grant, data, at):
        if event in ("share-assigned", "grant-activated"):
            grant["share"], grant["active"] = True, at if event == "grant-activated" else grant["active"]
        elif event == "first-delivered":
            grant["delivered"], grant["empty"] = True, data["empty"]
        elif event in ("freshness-broken", "freshness-restored"):
            (set.add if event == "freshness-broken" else set.discard)(grant["causes"], data["cause"])
            grant["broken"] += [(time_of(data["since"]), at)] if event == "freshness-broken" else []
        elif event in ("grant-suspended", "grant-resumed"):
            grant["suspended"] = event == "grant-suspended"
        elif event == "grant-ended":
            grant["ended"], grant["closed"] = grant["ended"] or at, grant["closed"] or at
        elif event == "share-switched" or (
            event == "grant-amended" and (not grant["share"] or data["terms"] == grant["terms"])
        ):
            grant |= {name: data[name] for name in ("fields", "scope_narrowed", "terms", "freshness_seconds")}
            grant["delivered"] = grant["delivered"] and event == "grant-amended"

    def what(self):
        asked = set(self.facts["fields"])
        good = [one for one in self.grants.values() if one["active"] and one["delivered"]
                and not (one["suspended"] or one["ended"] or one["causes"])]
        parts = [Fraction(len(asked & set(one["fields"])), len(asked)) if asked else Fraction(1) for one in good]
        full = [one for part, one in zip(parts, good) if part == 1 and not one["scope_narrowed"]]
        wanted, given = self.facts["freshness_seconds"], [one["freshness_seconds"] for one in full]
        return {"counts": self.complete is not None and self.withdrawn is None,
                "group": tuple(self.facts[name] or "" for name in BY),
                "need": (self.facts["demander"], self.facts["record_type"], self.facts["provider"]),
                "full": full, "any": bool(good), "part": max(parts, default=Fraction(0)), "asked": len(asked),
                "strict": bool(full), "empty": bool(full) and all(one["empty"] for one in full),
                "laxer": bool(full and wanted and min(given) > wanted)}

    def at(self, moment):
        """What it is at a moment at which it counts; else None."""
        last = next((what for since, what in reversed(self.stretches) if since <= moment), {"counts": False})
        begun = self.use_from is None or self.use_from <= moment
        return last if last["counts"] and begun and not (self.use_until and self.use_until <= moment) else None

    def time(self, begin, end):
        for (since, what), until in zip(self.stretches, [*(since for since, _ in self.stretches[1:]), end]):
            start, stop = max(since, begin, self.use_from or begin), min(until, end, self.use_until or end)
            told = (min(max(at, start), stop) for one in what["full"] for both in one["broken"] for at in both)
            cuts = sorted({start, stop, *told})
            for first, last in zip(cuts, cuts[1:]) if what["counts"] and stop > start else ():
                strict = any(all(not a <= first < b for a, b in one["broken"]) for one in what["full"])
                yield what | {"strict": strict}, (last - first) // timedelta(microseconds=1)

    def paused(self, in_review, until):
        return sum(working_between(a, min(b or until, until)) for a, b, *of in self.asked_more if of == [1, in_review])

    def duties(self, at):
        """(clock, due, done, seen): what was owed, seen when nobody could do it any more, else at `at`."""
        seen = self.withdrawn or at
        if self.complete and self.matched:
            begin = max(self.complete, self.matched)
            if self.facts["review"]:
                yield "review", due(begin, 2 + self.paused(True, self.reviewed or seen)), self.reviewed, seen
            if self.reviewed or not self.facts["review"]:
                days = self.facts["reply_days"] + (self.extended or 0) + self.paused(False, self.replied or seen)
                yield "reply", due(max(begin, self.reviewed or begin), days), self.replied, seen
        for one in self.grants.values():
            last = due(max(one["consented"], self.use_from or one["consented"]), 20)
            yield "delivery", last, one["active"], at if one["active"] else one["closed"] or at

def ratio(numerator, denominator):
    return float(Fraction(numerator) / denominator) if denominator else None

def figures(demands, duties, begin, end, fits=lambda group: True):
    now = [what for one in demands if (what := one.at(end - timedelta(milliseconds=1))) and fits(what["group"])]
    time = [(what, length) for one in demands for what, length in one.time(begin, end) if fits(what["group"])]
    replies = [reply for one in demands for reply in one.replies if begin <= reply[0] < end and fits(reply[3])]
    gone = [lost for one in demands for lost in one.withdrawals if begin <= lost[0] < end and fits(lost[2])]
    refused, on_time = [reply for reply in replies if reply[1]], {}
    needs = {one["need"]: [what["strict"] for what in now if what["need"] == one["need"]] for one in now}
    for name in ("review", "reply", "delivery", "correction"):
        kept = [kept for clock, day, kept, group in duties
                if clock == name and fits(group) and day_of(begin) <= day < day_of(end)]
        on_time[name] = {"kept": sum(kept), "judged": len(kept), "ratio": ratio(sum(kept), len(kept))}
    strict, weight = sum(what["strict"] for what in now), sum((what["part"] for what in now), Fraction(0))
    granted, asked = sum(what["part"] * what["asked"] for what in now), sum(what["asked"] for what in now)
    counted, satisfied = sum(length for _, length in time), sum(length for what, length in time if what["strict"])
    good, based = sum(map(all, needs.values())), sum(bool(reply[2]) for reply in refused)
    return {
        "counted": len(now), "satisfied": sum(what["any"] for what in now), "satisfied_strictly": strict,
        "satisfied_by_laxer_freshness": sum(what["laxer"] for what in now),
        "satisfied_by_empty_share": sum(what["empty"] for what in now),
        "weight": str(weight), "strict": ratio(strict, len(now)), "weighted": ratio(weight, len(now)),
        "needs": len(needs), "needs_satisfied": good, "by_need": ratio(good, len(needs)),
        "fields_asked": asked, "fields_granted": int(granted), "by_field": ratio(granted, asked),
        "counted_seconds": counted / 1_000_000, "satisfied_seconds": satisfied / 1_000_000,
        "time_weighted": ratio(satisfied, counted), "on_time": on_time,
        "replies": len(replies), "refusals": len(refused), "refusals_with_basis": based,
        "refusal_rate": ratio(len(refused), len(replies)), "refusal_basis_rate": ratio(based, len(refused)),
        "withdrawn": len(gone), "withdrawn_unsatisfied": sum(not lost[1] for lost in gone),
    }

def duties_of(demands, corrections, at):
    """(clock, day on which it is judged, kept, group): the duties that are judged by `at`."""
    owed = [(one.stretches[-1][1]["group"], duty) for one in demands for duty in one.duties(at)]
    for one in corrections.values():
        group = (*one["of"].stretches[-1][1]["group"][:2], one["provider"])
        owed.append((group, ("correction", due(one["at"], 10), one["answered"], at)))
    for group, (clock, last, done, seen) in owed:
        kept = done is not None and day_of(done) <= last
        if kept or day_of(seen) > last or (done is not None and day_of(done) > last):
            yield clock, day_of(done) if kept else last + timedelta(days=1), kept, group

def read(path, end):
    demands, by_grant, corrections = {}, {}, {}
    for line in map(json.loads, Path(path).read_text(encoding="utf-8").splitlines()):
        event, data, at = line["event"], line["data"], time_of(line["at"])
        if at >= end:  # nothing but a breach that began before
            if event == "freshness-broken" and data["grant"] in by_grant:
                by_grant[data["grant"]].grants[data["grant"]]["broken"].append((time_of(data["since"]), at))
        elif event == "demand-submitted":
            demands[data["demand"]] = Demand(data, at)
        elif event == "demand-consented":
            by_grant[data["grant"]] = demands[data["demand"]]
        elif event == "correction-submitted":
            corrections[data["correction"]] = {"at": at, "answered": None, "of": by_grant[data["grant"]], **data}
        elif event == "correction-answered":
            corrections[data["correction"]]["answered"] = at
        owners = [by_grant[name].id for name in (data.get("grant"), *data.get("ended", ())) if name in by_grant]
        for name in dict.fromkeys([data.get("demand"), *data.get("transfers", ()), *owners]):
            if name in demands and at < end:
                demands[name].take(event, data, at)
    return list(demands.values()), corrections

def report(path, year):
    starts = [datetime(year + month // 12, month % 12 + 1, 1, tzinfo=SHANGHAI) for month in range(13)]
    demands, corrections = read(path, starts[12])
    duties = list(duties_of(demands, corrections, starts[12] - timedelta(milliseconds=1)))
    whole, by, pairs = (demands, duties, starts[0], starts[12]), {}, zip(starts, starts[1:])
    for place, name in enumerate(BY):
        groups = {what["group"][place] for one in demands for _, what in one.stretches}
        by[name] = {one: figures(*whole, lambda group: group[place] == one) for one in sorted(groups)}  # noqa: B023
    return {"total": figures(*whole), "by": by, "months": [figures(*whole[:2], *two) for two in pairs]}

json.dump(report(sys.argv[1], int(sys.argv[2])), sys.stdout)
