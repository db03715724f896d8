"""The stages a record passes, in travel order. Errors, metrics, logs and quarantine headers all carry one of these."""

from enum import StrEnum


class Stage(StrEnum):
    """Where something happened. The value is the text that leaves the process (`admission.check`)."""

    # the way of a record
    INTAKE_COLLECT = "intake.collect"
    INTAKE_MAP = "intake.map"
    INTAKE_ENCODE = "intake.encode"
    INTAKE_SUBMIT = "intake.submit"
    ADMISSION_RECEIVE = "admission.receive"
    ADMISSION_UNSEAL = "admission.unseal"
    ADMISSION_CHECK = "admission.check"
    ADMISSION_ADMIT = "admission.admit"
    DELIVERY_RECEIVE = "delivery.receive"
    DELIVERY_PERMIT = "delivery.permit"
    DELIVERY_REDACT = "delivery.redact"
    DELIVERY_FORWARD = "delivery.forward"
    HANDOVER_RECEIVE = "handover.receive"
    HANDOVER_DECODE = "handover.decode"
    HANDOVER_APPLY = "handover.apply"
    # beside the way of a record
    QUARANTINE = "quarantine"
    LEDGER = "ledger"
    COMMAND = "broker.command"
    ENFORCE = "broker.enforce"
    OBSERVE = "broker.observe"
    WEB = "web"
    SCHEMAS = "schemas"
    CATALOGUE = "catalogue"
    KAFKA = "kafka"
    EMBEDDED = "embedded"
    SETTINGS = "settings"

    @property
    def line(self) -> str:
        """The line a record stage belongs to (`intake`, `admission`, `delivery`, `handover`)."""
        return self.value.partition(".")[0]
