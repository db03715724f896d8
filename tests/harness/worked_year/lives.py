"""The lives of the demands of a worked year: every kind of step that the life of a demand has."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from exchange.broker.grants.freshness import CAUSES
from exchange.catalogue.model import Sharing
from tests.harness.worked_year.pieces import Pieces, once
from tests.harness.worked_year.year import LATE_RESOURCE, Life

MERGED, HEIR = "forestry", "natural-resources"
SPLIT, PARTS = "culture-and-tourism", ("commerce", "radio-and-television")


class Lives(Pieces):
    """Makes the lives."""

    def all(self, number: int) -> None:
        """Plan the lives of `number` demands, the publication of a resource and two successions."""
        year, kinds = self.year, self._kinds()
        year.plan(year.start + timedelta(days=150, hours=10), once(year.publish))
        year.plan(year.start + timedelta(days=205, hours=11), once(self._merger))
        year.plan(year.start + timedelta(days=262, hours=15), once(self._split))
        for place in range(number):
            day = year.random.uniform(1, 350)
            hour = year.random.uniform(0, 10) / 24
            at = year.start + timedelta(milliseconds=round((int(day) + 8 / 24 + hour) * 86_400_000))
            year.plan(at, kinds[place % len(kinds)]())

    def _kinds(self) -> Sequence[Callable[[], Life]]:
        return (
            self.granted, self.granted, self.granted, self.automatic, self.partial, self.masked, self.narrowed,
            self.incomplete, self.asked_more, self.unmatched, self.reviewed, self.refused, self.extended,
            self.silent, self.paper, self.withdrawn, self.breached, self.suspended, self.expiring, self.disputed,
            self.corrected, self.amended, self.ended, self.later, self.duplicate, self.widened,
        )  # fmt: skip

    def granted(self) -> Life:
        """Consented in full and served; some want it fresher than the provider agrees to."""
        resource = self._resource()
        wanted = self.year.random.choice((None, 3600, 86_400))
        made = self._submit(resource, freshness_seconds=wanted)
        if made is None:
            return
        yield self._days(0.3, 22)
        agreed = {} if wanted is None or self.year.random.random() < 0.5 else {"freshness_seconds": 2 * wanted}
        yield from self._served(self._consent(resource, made[1], **agreed))

    def automatic(self) -> Life:
        """Shared without conditions: the exchange consents at once."""
        resource = self._resource("102001/0001")
        demander = self._demander(resource.provider)
        fields = self._fields(resource, (Sharing.UNCONDITIONAL,))
        answer = self.year.post(demander, "/v1/demands", **self._stated(), resource=resource.code, fields=fields)
        if answer is None:
            return
        self.year.tick()
        shown = self.year.get(demander, f"/v1/demands/{answer['demand']}").json()
        yield from self._served(shown["grants"][-1] if shown["grants"] else None, most=5)

    def partial(self) -> Life:
        """Some of the asked fields."""
        resource = self._resource()
        made = self._submit(resource, fields=None) or self._submit(resource)
        if made is None:
            return
        asked = self.year.get(self._acting(made[0]), f"/v1/demands/{made[1]}").json()["fields"]
        if not asked:
            self._act(made[0], made[1], "supplement", fields=self._fields(resource, (Sharing.CONDITIONAL,)))
            asked = self.year.get(self._acting(made[0]), f"/v1/demands/{made[1]}").json()["fields"]
        yield self._days(1, 15)
        kept = asked[: max(len(self._schema(resource).natural_key), len(asked) - self.year.random.randint(1, 3))]
        yield from self._served(self._consent(resource, made[1], fields=kept))

    def masked(self) -> Life:
        """A stronger mask than asked; where the demander asked for that mask itself, it is as asked."""
        resource = self._resource("101001/0001", "101002/0002", "101002/0003")
        fields = [*self._schema(resource).natural_key, "name", "sex"]
        own = {"name": "first"} if self.year.random.random() < 0.4 else {}
        made = self._submit(resource, fields=fields, masks=own)
        if made is None:
            return
        yield self._days(1, 12)
        yield from self._served(self._consent(resource, made[1], masks={"name": "first"}))

    def narrowed(self) -> Life:
        """Fewer rows than asked."""
        resource = self._resource("102001/0001", "103001/0001")
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(1, 12)
        scope = [{"field": "region", "operator": "prefix", "values": ["3401"]}]
        yield from self._served(self._consent(resource, made[1], scope=scope))

    def incomplete(self) -> Life:
        """Submitted without its legal basis, supplemented (some never), and served."""
        resource = self._resource()
        made = self._submit(resource, legal_basis=None, scenario=None)
        if made is None or self.year.random.random() < 0.2:
            return
        yield self._days(1, 12)
        self._act(made[0], made[1], "supplement", legal_basis="居民身份证法 art. 6")
        yield self._days(0.5, 5)
        self._act(made[0], made[1], "supplement", scenario="核验")
        yield self._days(0.5, 14)
        yield from self._served(self._consent(resource, made[1]))

    def asked_more(self) -> Life:
        """The provider asks for more; with a pausing policy the reply's clock stands still."""
        resource = self._resource()
        self.year.service.supplement_pauses = self.year.random.random() < 0.5
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(0.5, 6)
        self._act(resource.provider, made[1], "request-supplement", missing=["负责人签字"])
        yield self._days(0.5, 8)
        self._act(made[0], made[1], "supplement", answer="已补")
        yield self._days(0.5, 12)
        yield from self._served(self._consent(resource, made[1]))

    def unmatched(self) -> Life:
        """Nobody offers it; some of it is published in the middle of the year, and matched."""
        resource = self._resource(LATE_RESOURCE)
        never = self.year.random.random() < 0.3
        wanted = {"provider": "meteorology"} if never else {}
        demander = self._demander(resource.provider, "meteorology", *self.heirs.values())
        fields = self._fields(resource, (Sharing.UNCONDITIONAL,))
        answer = self.year.post(
            demander, "/v1/demands", **self._stated(), record_type=resource.record_type, fields=fields, **wanted
        )
        if answer is None or never:
            return
        demand = answer["demand"]
        while self.year.get(demander, f"/v1/demands/{demand}").json()["state"] == "unmatched":
            yield 7
            demander = self._acting(demander)
        yield self._days(0.2, 3)
        yield from self._served(self._consent(resource, demand))

    def reviewed(self) -> Life:
        """The competent department looks first; some are sent back."""
        resource = self._resource("101004/0001")
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(0.3, 5)
        if self.year.random.random() < 0.4:
            self._act("supervisor", made[1], "review", passed=False, missing=["使用范围"])
            yield self._days(0.5, 4)
            self._act(made[0], made[1], "supplement", use_scope="本省婚姻登记机关")
            yield self._days(0.2, 3)
        self._act("supervisor", made[1], "review")
        yield self._days(0.5, 16)
        yield from self._served(self._consent(resource, made[1]))

    def refused(self) -> Life:
        """Refused, early or late, with a legal basis or without; some demand it again."""
        resource = self._resource()
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(0.05, 25)
        basis = {"legal_basis": "个人信息保护法 art. 34"} if self.year.random.random() < 0.6 else {}
        self._act(resource.provider, made[1], "refuse", reason="与共享条件不符", **basis)
        yield self._days(5, 60)
        if self.year.random.random() < 0.3:
            self._act(made[0], made[1], "withdraw", reason="不再需要")

    def extended(self) -> Life:
        """The reply is extended; some are late all the same."""
        resource = self._resource("101001/0001", "103001/0001", "104003/0001")
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(1, 7)
        self._act(resource.provider, made[1], "extend", days=self.year.random.randint(3, 10), reason="数据核对")
        yield self._days(0.1, 1)
        self._act("supervisor", made[1], "extend")
        yield self._days(4, 30)
        yield from self._served(self._consent(resource, made[1]))

    def silent(self) -> Life:
        """Nobody replies; the demander disputes it, or takes it back."""
        made = self._submit(self._resource())
        if made is None:
            return
        yield self._days(20, 60)
        if self.year.random.random() < 0.5:
            self._act(made[0], made[1], "dispute", grounds="逾期未答复")
            yield self._days(5, 20)
            self._act(made[0], made[1], "dispute/escalate", reason="协商未果")
        elif self.year.random.random() < 0.5:
            self._act(made[0], made[1], "withdraw", reason="改用其他办法")

    def paper(self) -> Life:
        """Consented, and nothing comes; or it is activated and nobody ever takes anything."""
        resource = self._resource()
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(0.5, 9)
        grant = self._consent(resource, made[1])
        if grant is not None and self.year.random.random() < 0.5:
            yield self._days(1, 18)
            self.year.activate(grant)
        elif grant is not None and self.year.random.random() < 0.4:
            yield self._days(25, 60)
            self._grant(resource.provider, grant, "revoke", reason="未能开通")

    def withdrawn(self) -> Life:
        """Taken back before a reply, or after some time of service."""
        resource = self._resource()
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(0.2, 30)
        if self.year.random.random() < 0.5:
            yield from self._served(self._consent(resource, made[1]))
            yield self._days(10, 90)
        self._act(made[0], made[1], "withdraw", reason="业务取消")

    def breached(self) -> Life:
        """Served, with causes of breaches that open and close one by one."""
        made = yield from self._replied(self._resource())
        if made is None:
            return
        for _ in range(self.year.random.randint(1, 4)):
            yield self._days(2, 40)
            causes = self.year.random.sample(CAUSES, self.year.random.randint(1, 3))
            for cause in causes:
                self.year.breach(made.grant, cause, opens=True)
                yield self._days(0.05, 3)
            for cause in causes[: self.year.random.randint(0, 3)]:
                self.year.breach(made.grant, cause, opens=False)
                yield self._days(0.05, 1)

    def suspended(self) -> Life:
        """Suspended, resumed, and perhaps revoked."""
        resource = self._resource()
        made = yield from self._replied(resource)
        if made is None:
            return
        yield self._days(5, 60)
        self._grant("supervisor", made.grant, "suspend", reason="超范围使用核查")
        yield self._days(1, 20)
        self._grant(resource.provider, made.grant, "resume")
        yield self._days(10, 60)
        if self.year.random.random() < 0.5:
            self._grant(resource.provider, made.grant, "revoke", reason="共享条件不再满足")

    def expiring(self) -> Life:
        """For a use period that ends in the year; some are renewed, and what was taken is disposed of."""
        resource = self._resource()
        until = self.year.clock.now() + timedelta(days=self.year.random.randint(40, 120))
        made = yield from self._replied(resource, use_until=until.isoformat())
        if made is None:
            return
        left = (until - self.year.clock.now()) / timedelta(days=1)
        if self.year.random.random() < 0.6 and left > 1:
            yield left * self._days(0.1, 0.8)
            again = self._act(made.demander, made.demand, "renew")
            if again is not None:
                yield self._days(0.2, 8)
                yield from self._served(self._consent(resource, again["demand"]))
        left = (until - self.year.clock.now()) / timedelta(days=1)
        yield max(0.0, left) + 1
        self._grant(made.demander, made.grant, "confirm-disposal", how="删除并复核")

    def disputed(self) -> Life:
        """A refusal is disputed; the provider has to reply again, or is upheld."""
        resource = self._resource()
        made = self._submit(resource)
        if made is None:
            return
        yield self._days(1, 9)
        self._act(resource.provider, made[1], "refuse", reason="材料不足以证明用途")
        yield self._days(1, 9)
        self._act(made[0], made[1], "dispute", grounds="用途已列明")
        yield self._days(2, 10)
        self._act(made[0], made[1], "dispute/escalate", reason="协商未果")
        yield self._days(2, 10)
        outcome = self.year.random.choice(("reply-again", "upheld"))
        self._act("supervisor", made[1], "dispute/settle", outcome=outcome, reason="核实")
        if outcome == "reply-again":
            yield self._days(1, 9)
            yield from self._served(self._consent(resource, made[1]))

    def corrected(self) -> Life:
        """Records are doubted; answers come in time, late, or never."""
        resource = self._resource("102001/0001", "103001/0001", "104003/0001")
        made = yield from self._replied(resource)
        if made is None:
            return
        for _ in range(self.year.random.randint(1, 3)):
            yield self._days(1, 30)
            key = self._schema(resource).natural_key
            doubted = self.year.get(self._acting(made.demander), f"/v1/grants/{made.grant}").json()["fields"]
            about = {"grant": made.grant, "key": "K-1", "fields": doubted[-1:], "words": "与证件不符"}
            doubt = self.year.post(self._acting(made.demander), "/v1/corrections", **about)
            if doubt is None or not key or self.year.random.random() < 0.25:
                continue
            yield self._days(0.5, 20)
            self.year.post(
                self._acting(resource.provider),
                f"/v1/corrections/{doubt['correction']}/answer",
                answer="right-as-it-is",
                words="与登记档案一致",
            )

    def amended(self) -> Life:
        """First in part, then in full: another share, which has to be delivered anew."""
        resource = self._resource()
        made = self._submit(resource)
        if made is None:
            return
        asked = self.year.get(self._acting(made[0]), f"/v1/demands/{made[1]}").json()["fields"]
        yield self._days(0.5, 8)
        grant = self._consent(resource, made[1], fields=asked[:-1])
        yield from self._served(grant, most=10)
        if grant is None:
            return
        yield self._days(5, 30)
        self._grant(resource.provider, grant, "amend", reason="补充信息项", fields=asked)
        yield self._days(0.1, 2)
        self.year.switch(grant)
        yield self._days(0.1, 2)
        self.year.deliver(grant)

    def ended(self) -> Life:
        """Used, recorded, and no longer needed."""
        made = yield from self._replied(self._resource())
        if made is None:
            return
        yield self._days(5, 40)
        use = {"scenario": "办理", "process": "比对", "effect": "减少材料", "storage": "本部门数据库"}
        self._grant(made.demander, made.grant, "uses", **use)
        yield self._days(5, 60)
        self._grant(made.demander, made.grant, "end-purpose", reason="专项结束")
        yield self._days(1, 10)
        self._grant(made.demander, made.grant, "confirm-disposal", how="删除并复核")

    def later(self) -> Life:
        """For a use period that begins later."""
        begin = self.year.clock.now() + timedelta(days=self.year.random.randint(20, 60))
        resource = self._resource()
        made = self._submit(resource, use_from=begin.isoformat())
        if made is None:
            return
        yield self._days(1, 9)
        grant = self._consent(resource, made[1])
        left = (begin - self.year.clock.now()) / timedelta(days=1)
        yield left + self._days(0.01, 30)
        yield from self._served(grant, most=2)

    def duplicate(self) -> Life:
        """The same once more is refused, whatever it is for; and so is a part of it for the same."""
        resource = self._resource()
        made = self._submit(resource)
        if made is None:
            return
        shown = self.year.get(self._acting(made[0]), f"/v1/demands/{made[1]}").json()
        body = {**self._stated(), "resource": resource.code}
        assert self.year.post(made[0], "/v1/demands", **body, fields=shown["fields"]) is None
        body["scenario"] = shown["scenario"]
        assert self.year.post(made[0], "/v1/demands", **body, fields=shown["fields"][:1]) is None
        yield self._days(1, 9)
        yield from self._served(self._consent(resource, made[1]))

    def widened(self) -> Life:
        """Served, then needed with more fields: another demand takes its place once it is served itself."""
        resource = self._resource("101002/0002", "102001/0002")
        made = yield from self._replied(resource, fields=self._fields(resource, (Sharing.CONDITIONAL,))[:2])
        if made is None:
            return
        yield self._days(1, 40)
        before = self.year.get(self._acting(made.demander), f"/v1/demands/{made.demand}").json()
        fields = self._fields(resource, (Sharing.UNCONDITIONAL, Sharing.CONDITIONAL))
        body = {**self._stated(), "scenario": before["scenario"], "resource": resource.code, "fields": fields}
        wider = self.year.post(self._acting(made.demander), "/v1/demands", **body, replaces=made.demand)
        if wider is not None:
            yield self._days(1, 12)
            yield from self._served(self._consent(resource, wider["demand"]))

    # what happens to departments

    def _merger(self) -> None:
        self._succeed(MERGED, [HEIR])

    def _split(self) -> None:
        self._succeed(SPLIT, list(PARTS), default=PARTS[0])

    def _succeed(self, gone: str, successors: list[str], **more: Any) -> None:
        path = f"/v1/departments/{gone}/succeed"
        done = self.year.post("supervisor", path, successors=successors, demands={}, reason="机构改革", **more)
        assert done is not None
        self.heirs[gone] = successors[0]
