"""Every error has one root and one row in one table: a stable code, its stage, its meaning and what to do next.

The same code appears in logs, metrics, quarantine headers, problem documents and on the command line.
"""

from dataclasses import dataclass
from enum import StrEnum

from exchange.stages import Stage


class Action(StrEnum):
    """What the line, or the caller, does with the error."""

    RETRY = "retry"
    """Try the same again; nothing is wrong with the input."""
    QUARANTINE = "quarantine"
    """Put this one record aside, untouched, and go on."""
    STOP = "stop"
    """Stop this process or unit: going on would break a guarantee or cannot work."""
    REFUSE = "refuse"
    """Answer the caller that this is not done; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table."""

    code: str
    stage: Stage
    action: Action
    meaning: str
    advice: str


_ROWS: tuple[tuple[str, Stage, Action, str, str], ...] = (
    # vocabulary and settings
    ("E_NAME_INVALID", Stage.SETTINGS, Action.REFUSE, "a name has the wrong form",
     "use the form that the message states"),
    ("E_SETTINGS", Stage.SETTINGS, Action.STOP, "the settings are incomplete or contradict each other",
     "correct what the message names; `exchange settings` prints all settings with their meanings"),
    # intake
    ("E_SOURCE_UNREACHABLE", Stage.INTAKE_COLLECT, Action.RETRY, "the department's database or file cannot be read",
     "check that it is up and that the connector's address and rights are right"),
    ("E_ROW_UNREADABLE", Stage.INTAKE_COLLECT, Action.QUARANTINE, "a row or line of the source cannot be read",
     "correct the row at the place that the message names; it waits, see `exchange faults list`"),
    ("E_ROW_UNMAPPED", Stage.INTAKE_MAP, Action.QUARANTINE, "a row does not fit the record's schema",
     "correct the row or the connector's mapping; it waits, see `exchange faults list`"),
    ("E_ENCODE", Stage.INTAKE_ENCODE, Action.QUARANTINE, "a mapped record cannot be encoded by its schema",
     "correct the mapping of the field that the message names; it waits, see `exchange faults list`"),
    ("E_WITHDRAWALS", Stage.INTAKE_SUBMIT, Action.STOP,
     "a whole reading would withdraw more records than is done without asking",
     "see that the source is whole; if the rows are truly gone, `exchange connector confirm-withdrawals CONNECTOR`"),
    ("E_STATE", Stage.INTAKE_SUBMIT, Action.STOP, "the state folder of the connector cannot be used",
     "give it room and rights; a second process of the same source must end first"),
    ("E_SUBMIT", Stage.INTAKE_SUBMIT, Action.RETRY, "Kafka did not take a record into the inbox",
     "check the broker and the department's write right on its inbox"),
    # admission: receive and unseal
    ("E_TOO_LARGE", Stage.ADMISSION_RECEIVE, Action.QUARANTINE, "the record is larger than admission takes",
     "send at most 262,144 bytes a record"),
    ("E_HEADERS", Stage.ADMISSION_RECEIVE, Action.QUARANTINE, "too many or too large headers",
     "send at most 32 headers with 8,192 bytes together"),
    ("E_HEADER_FORGED", Stage.ADMISSION_RECEIVE, Action.QUARANTINE,
     "a header claims another source or type, occurs twice, or is reserved for the exchange",
     "leave ce_source to the exchange, set ce_type to the record type, send no x-exchange- header"),
    ("E_KEY_MISSING", Stage.ADMISSION_RECEIVE, Action.QUARANTINE, "the record has no key",
     "use the natural key of the record as the Kafka key"),
    ("E_FRAMING", Stage.ADMISSION_UNSEAL, Action.QUARANTINE, "the value does not begin with 0x00 and a schema id",
     "use Confluent framing: 0x00, 4-byte schema id, Avro body"),
    ("E_SCHEMA_UNKNOWN", Stage.ADMISSION_UNSEAL, Action.QUARANTINE, "no schema has this id",
     "use an id that /subjects lists for the record type"),
    ("E_SCHEMA_FOREIGN", Stage.ADMISSION_UNSEAL, Action.QUARANTINE, "the schema id belongs to another record type",
     "use an id that /subjects lists for the record type of this inbox"),
    # admission: check
    ("E_AVRO_TRUNCATED", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the Avro body ends before its last field",
     "encode the whole record"),
    ("E_AVRO_TRAILING", Stage.ADMISSION_CHECK, Action.QUARANTINE, "bytes follow the last field of the Avro body",
     "encode exactly one record"),
    ("E_AVRO_VARINT", Stage.ADMISSION_CHECK, Action.QUARANTINE, "an integer is longer than needed or out of its range",
     "use the shortest zig-zag form, as every Avro library writes it"),
    ("E_AVRO_LENGTH", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a length is negative or larger than the record",
     "encode with an Avro library"),
    ("E_AVRO_UTF8", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a string is not UTF-8", "encode strings as UTF-8"),
    ("E_AVRO_UNION", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a union or enum index does not exist",
     "encode with the schema that the id names"),
    ("E_AVRO_VALUE", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a value is outside the range of its logical type",
     "correct the value of the field that the message names"),
    ("E_AVRO_NOT_CANONICAL", Stage.ADMISSION_CHECK, Action.QUARANTINE,
     "the bytes mean a valid record but are not its canonical encoding",
     "encode with an Avro library and its default settings"),
    ("E_AVRO_DEPTH", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the value is nested too deeply",
     "nest at most 64 levels"),
    ("E_KEY_MISMATCH", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the Kafka key is not the natural key of the record",
     "compute the key from the record as the schema declares it"),
    ("E_KEY_RESERVED", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the key ~ is reserved for heartbeats",
     "send heartbeats with a null value and records with their natural key"),
    ("E_KEY_TOO_LONG", Stage.ADMISSION_RECEIVE, Action.QUARANTINE, "the key is longer than databases can index",
     "use natural keys whose Kafka key, percent-encoded, takes at most 512 bytes"),
    ("E_KEY_NOT_OWNED", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the key belongs to another department",
     "publish only records that this department registers"),
    ("E_KEY_PARTITION", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a new key came in the wrong partition of the inbox",
     "use the murmur2 partitioner (librdkafka: partitioner=murmur2_random)"),
    ("E_SEQUENCE", Stage.ADMISSION_CHECK, Action.QUARANTINE, "ce_sequence is not a number from 0 to 2^63 - 1",
     "send the version of the row as decimal digits"),
    ("E_SEQUENCE_CONFLICT", Stage.ADMISSION_CHECK, Action.QUARANTINE,
     "the same sequence of a key came with other content", "raise ce_sequence with every change of the row"),
    ("E_TIME_IMPLAUSIBLE", Stage.ADMISSION_CHECK, Action.QUARANTINE, "ce_time is no RFC 3339 time of 2000 or later, or lies in the future",
     "send the time of submission in UTC"),
    ("E_FIELD_REQUIRED", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a field that must say something is empty",
     "fill the field that the message names"),
    ("E_TEXT_BLANK", Stage.ADMISSION_CHECK, Action.QUARANTINE,
     "a text that must say something holds only spaces or invisible characters",
     "fill the field that the message names with what can be read"),
    ("E_TEXT_NUL", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a text holds U+0000, which databases cannot store",
     "remove the character U+0000 from the field that the message names"),
    ("E_FIELD_FORM", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a number or code has not the form that the schema declares",
     "write the field that the message names as its form says; `exchange schemas show <record-type> --json` has it"),
    ("E_CODE_UNKNOWN", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a value is not in its code set",
     "use a code of the list that the message names"),
    ("E_DATE_IMPLAUSIBLE", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a date lies in the future or before 1840",
     "correct the date of the field that the message names"),
    # identifiers
    ("E_RESIDENT_ID_FORM", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a resident id is not 17 digits and a check character",
     "send 18 characters (GB 11643), X in upper case"),
    ("E_RESIDENT_ID_REGION", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a resident id begins with no province's code",
     "correct the first six digits"),
    ("E_RESIDENT_ID_BIRTH", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a resident id holds no possible birth date",
     "correct digits 7 to 14"),
    ("E_RESIDENT_ID_CHECK_DIGIT", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the check character of a resident id is wrong",
     "compare the id with the document"),
    ("E_CREDIT_CODE_FORM", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a credit code has a wrong length or character",
     "send 18 upper-case characters (GB 32100: no I, O, S, V, Z)"),
    ("E_CREDIT_CODE_DEPARTMENT", Stage.ADMISSION_CHECK, Action.QUARANTINE,
     "a credit code begins with no registration department's character", "correct the first two characters"),
    ("E_CREDIT_CODE_REGION", Stage.ADMISSION_CHECK, Action.QUARANTINE, "characters 3 to 8 of a credit code are no region",
     "correct characters 3 to 8"),
    ("E_CREDIT_CODE_CHECK_DIGIT", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the check character of a credit code is wrong",
     "compare the code with the registration document"),
    ("E_ORGANISATION_CODE_FORM", Stage.ADMISSION_CHECK, Action.QUARANTINE,
     "an organisation code is not 8 characters and a check character", "send 9 characters (GB 11714)"),
    ("E_ORGANISATION_CODE_CHECK_DIGIT", Stage.ADMISSION_CHECK, Action.QUARANTINE,
     "the check character of an organisation code is wrong", "compare the code with the document"),
    ("E_LICENCE_ID_FORM", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a licence identifier has not the form of GB/T 36904",
     "send 1.2.156.3005.2.<type>.<issuer>.<serial>.<version>.<check>"),
    ("E_LICENCE_ID_BODY", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a licence identifier names a body with an invalid credit code",
     "compare type and issuer with the licence"),
    ("E_LICENCE_ID_CHECK_DIGIT", Stage.ADMISSION_CHECK, Action.QUARANTINE, "the check character of a licence identifier is wrong",
     "compare the identifier with the licence"),
    ("E_REGION_FORM", Stage.ADMISSION_CHECK, Action.QUARANTINE, "a region is not 6 digits of a known province",
     "send the 6-digit code (GB/T 2260)"),
    # admission and delivery as transactional lines
    ("E_UNIT_REBUILT", Stage.ADMISSION_ADMIT, Action.RETRY, "a unit met an error that only a fresh start mends",
     "nothing to do: the unit is rebuilt from Kafka; look at the broker if it goes on"),
    ("E_WORKER_TWIN", Stage.ADMISSION_RECEIVE, Action.STOP, "a second worker runs with the same worker id",
     "give every worker its own EXCHANGE_WORKER_ID"),
    ("E_OFFSET_LOST", Stage.ADMISSION_RECEIVE, Action.STOP, "a line's position in its input is gone or out of range",
     "records may have been missed: compare the books, then set the group's offset by hand"),
    ("E_REGISTRY_DAMAGED", Stage.DELIVERY_RECEIVE, Action.STOP, "a registry holds a record that admission would not write",
     "find out who can write registries; do not go on before it is known"),
    ("E_SHARE_UNWRITABLE", Stage.DELIVERY_FORWARD, Action.STOP, "a share's topic is gone, forbidden or too small",
     "the share is suspended; remove the cause, then `exchange grant recover`"),
    ("E_SHARE_LOST", Stage.DELIVERY_FORWARD, Action.STOP, "a share's topic is gone",
     "`exchange grant recover` gives its grants another share with the same terms"),
    ("E_MASTER_SECRET", Stage.DELIVERY_REDACT, Action.STOP,
     "a share with pseudonyms or of personal records needs the master secret and there is none",
     "name a file of at least 32 bytes by EXCHANGE_MASTER_SECRET_FILE"),
    ("E_SHARE_TERMS", Stage.DELIVERY_PERMIT, Action.STOP, "the terms of a share do not fit its record type",
     "the share is left out; its provider gives its grants terms that fit by `exchange grant amend`"),
    # handover
    ("E_GRANT_REFUSED", Stage.HANDOVER_RECEIVE, Action.STOP, "Kafka refuses the share: the grant has ended or is suspended",
     "look at the grant with `exchange grant show`"),
    ("E_SHARE_DECODE", Stage.HANDOVER_DECODE, Action.QUARANTINE, "a record of the share does not decode by its schema",
     "tell the operator of the exchange"),
    ("E_SHARE_POSITION", Stage.HANDOVER_RECEIVE, Action.RETRY,
     "the sink's place in the share is gone, or older than tombstones are kept",
     "nothing to do: the sink reads the share again from its beginning and sweeps what it no longer holds"),
    ("E_FILES_UNREACHABLE", Stage.HANDOVER_APPLY, Action.RETRY, "the drop folder cannot be read or written",
     "check that it is mounted, has room, and that both sides have their rights in it"),
    ("E_FILES_FOLDER", Stage.HANDOVER_APPLY, Action.STOP, "the drop folder is not as its sink left it",
     "put back what is missing, or empty the folder: then everything is delivered again, in a new series"),
    ("E_FILES_REFUSED", Stage.HANDOVER_APPLY, Action.REFUSE, "a delivery in files is not what its signed manifest says",
     "do not use it; empty the folder to have everything delivered again, and find out who changed it"),
    ("E_SINK_UNREACHABLE", Stage.HANDOVER_APPLY, Action.RETRY, "the department's database cannot be written",
     "check that it is up and that the connector's address and rights are right"),
    ("E_APPLY", Stage.HANDOVER_APPLY, Action.QUARANTINE, "a record cannot be applied to the department's database",
     "mend the table or the row it depends on; it waits, see `exchange faults list`"),
    # Kafka
    ("E_KAFKA_UNREACHABLE", Stage.KAFKA, Action.RETRY, "Kafka does not answer",
     "check EXCHANGE_KAFKA__BOOTSTRAP_SERVERS and that the broker is up"),
    ("E_KAFKA_REFUSED", Stage.KAFKA, Action.STOP, "Kafka refuses the login", "check user name and secret"),
    ("E_KAFKA_FORBIDDEN", Stage.KAFKA, Action.STOP, "Kafka refuses the access: no right for it",
     "a department needs a grant; a part of the exchange needs `exchange serve` to have run"),
    ("E_KAFKA_FENCED", Stage.KAFKA, Action.STOP, "a newer instance has taken over",
     "nothing to do when a worker moved; otherwise look for a twin"),
    ("E_KAFKA_MEMBERSHIP", Stage.KAFKA, Action.RETRY, "the consumer is no longer a member of its group",
     "nothing to do: the batch is done again by the new owner"),
    ("E_KAFKA_TOPIC_MISSING", Stage.KAFKA, Action.STOP, "a topic does not exist", "run `exchange serve`, which makes it"),
    ("E_KAFKA_TOO_LARGE", Stage.KAFKA, Action.QUARANTINE, "a record is larger than its topic takes",
     "send smaller records"),
    ("E_KAFKA", Stage.KAFKA, Action.STOP, "Kafka answered with an error that has no row of its own",
     "look at the error's name in the log"),
    # ledger and broker
    ("E_LEDGER_QUOTA", Stage.LEDGER, Action.REFUSE, "a department has written as many events today as one may",
     "wait for the next day in Asia/Shanghai, as Retry-After says; an operator may raise EXCHANGE_LEDGER__EVENTS_PER_DAY"),
    ("E_LEDGER_BROKEN", Stage.LEDGER, Action.STOP, "the ledger's sequence or hash chain does not hold",
     "`exchange ledger verify` names the place; bring the topic back from a backup of Kafka, find out who could write it"),
    ("E_NOT_LEADER", Stage.LEDGER, Action.RETRY, "this broker instance is not the leader",
     "send the command to the leader, or again in a moment"),
    ("E_LEADER_SILENT", Stage.LEDGER, Action.RETRY, "the leader did not answer; whether the command was done is open",
     "send the same again with the same Idempotency-Key: what was done is not done twice"),
    ("E_UNKNOWN_DEPARTMENT", Stage.COMMAND, Action.REFUSE, "no such department", "see `exchange department list`"),
    ("E_UNKNOWN_RESOURCE", Stage.COMMAND, Action.REFUSE, "no such resource", "see `exchange catalogue show`"),
    ("E_UNKNOWN_DEMAND", Stage.COMMAND, Action.REFUSE, "no such demand", "see `exchange demand list`"),
    ("E_UNKNOWN_GRANT", Stage.COMMAND, Action.REFUSE, "no such grant", "see `exchange grant list`"),
    ("E_UNKNOWN_SHARE", Stage.COMMAND, Action.REFUSE, "no such share", "see `exchange grant show`"),
    ("E_UNKNOWN_FIELD", Stage.COMMAND, Action.REFUSE, "the record type has no such field",
     "see `exchange schemas show`"),
    ("E_EXTENSION", Stage.COMMAND, Action.REFUSE, "this extension of a reply is not allowed",
     "extend once, before the reply is due, by at most 10 working days, with a reason (Order 809, art. 21)"),
    ("E_RENEWAL", Stage.COMMAND, Action.REFUSE, "this demand cannot be renewed",
     "the message says why; perhaps make another demand by `exchange demand submit`"),
    ("E_DISPUTE", Stage.COMMAND, Action.REFUSE, "this step of a dispute is not possible",
     "`exchange demand show` tells where it is; then open, escalate or settle: `exchange demand dispute --help` says who does"),
    ("E_DEMAND_DUPLICATE", Stage.COMMAND, Action.REFUSE,
     "the department has an open demand for the same resource, fields and scope", "withdraw the other one first by `exchange demand withdraw`"),
    ("E_DEMAND_SPLIT", Stage.COMMAND, Action.REFUSE,
     "the department has an open demand on the same resource for the same scenario: one need is one demand",
     "demand all that it needs at once, saying which demand that replaces; or say which other scenario it is for"),
    ("E_REPLACEMENT", Stage.COMMAND, Action.REFUSE, "this demand cannot be replaced by that one",
     "replace an open demand for the same resource, and each once; the message says what does not hold"),
    ("E_DEMAND_OWN", Stage.COMMAND, Action.REFUSE, "the department would demand its own records from itself",
     "demand the records of other departments only"),
    ("E_DEMAND_STATE", Stage.COMMAND, Action.REFUSE, "the demand's state does not allow this",
     "look at its history with `exchange demand show`"),
    ("E_GRANT_STATE", Stage.COMMAND, Action.REFUSE, "the grant's state does not allow this",
     "look at it with `exchange grant show`"),
    ("E_CONSENT", Stage.COMMAND, Action.REFUSE, "the consent gives more than was asked, or nothing",
     "name at least one of the asked fields, and no other; `exchange demand show` has them"),
    ("E_REFUSAL_REASON", Stage.COMMAND, Action.REFUSE, "a refusal needs a reason (Order 809, art. 21)",
     "say why; for a resource that is not shared, name the legal basis (art. 15)"),
    ("E_REVOKE_REASON", Stage.COMMAND, Action.REFUSE, "the end of a grant needs a reason (Order 809, art. 27)",
     "say why the grant ends"),
    ("E_SUCCESSION", Stage.COMMAND, Action.REFUSE,
     "the succession is told already, or not whole: a reason, successors that exist, and one of them for every demand",
     "see `exchange department succession`; name who goes on with each demand, or a default"),
    ("E_SCOPE", Stage.COMMAND, Action.REFUSE, "the row scope is not a conjunction of equals, in and prefix on text fields",
     "choose rows by text fields, with the codes or words that records have; see `exchange demand submit --help`"),
    ("E_SCOPE_PERSONAL", Stage.COMMAND, Action.REFUSE,
     "the row scope would name persons, and the ledger, where it stands for ever, must not",
     "choose rows by region, kind or state; a name, a number of a person or a document is looked up in the data received"),
    ("E_SCOPE_HIDDEN", Stage.COMMAND, Action.REFUSE,
     "the row scope would tell a field that the share hides: it is masked, a pseudonym, withheld, or not shared",
     "choose rows by another field, or ask for this one and give it in clear"),
    ("E_MASK", Stage.COMMAND, Action.REFUSE, "the mask does not exist or does not fit the field's type",
     "use first, ends or pseudonym on text, year on dates"),
    ("E_PSEUDONYM_BESIDE_CLEAR", Stage.COMMAND, Action.REFUSE,
     "the department would hold a clear and a pseudonymous share of one record type and could join them",
     "end the other grant first: its grantee by `exchange grant end-purpose`, its provider by `exchange grant revoke`"),
    ("E_PERIOD", Stage.COMMAND, Action.REFUSE, "the use period ends before it begins", "correct use_from and use_until"),
    ("E_UNKNOWN_CORRECTION", Stage.COMMAND, Action.REFUSE, "no such correction", "see `exchange correction list`"),
    ("E_CORRECTION_STATE", Stage.COMMAND, Action.REFUSE, "the correction's state does not allow this",
     "look at it with `exchange correction show`; a new doubt is a new correction"),
    ("E_CORRECTION_REASON", Stage.COMMAND, Action.REFUSE,
     "a doubt, and an answer that the record is right as it is, need words (at most 2,000 characters)",
     "say what is doubted, or why it is right (Order 809, art. 26)"),
    ("E_CORRECTION_PSEUDONYM", Stage.COMMAND, Action.REFUSE,
     "the grant gives pseudonyms, and nobody at the exchange can tell which record one stands for",
     "ask the provider by the fields that you were granted, outside of the exchange, or for a grant with the clear key"),
    ("E_UNKNOWN_QUARANTINED", Stage.QUARANTINE, Action.REFUSE, "no such record stands in quarantine, or no longer",
     "see `exchange quarantine list`; records are kept for 30 days"),
    ("E_QUARANTINE_STATE", Stage.QUARANTINE, Action.REFUSE, "a record was redriven or discarded by someone else just now",
     "list again and repeat the command"),
    ("E_DISCARD_REASON", Stage.QUARANTINE, Action.REFUSE, "a discard needs a reason",
     "say why the records need not reach the registry"),
    ("E_IDEMPOTENCY", Stage.COMMAND, Action.REFUSE, "the idempotency key was used for another command",
     "use a new key for a new command"),
    ("E_ENFORCE", Stage.ENFORCE, Action.RETRY, "topics, rights or quotas could not be brought in line with the grants",
     "nothing to do: it is tried again; look at the broker if it goes on"),
    ("E_DIGESTS", Stage.WEB, Action.REFUSE, "the digests of a share are not to be had like that",
     "ask for the digests without a prefix first, then go down in the version that the answer names"),
    ("E_BOOKS_OPEN", Stage.OBSERVE, Action.STOP, "the books do not close: records are missing from a sum",
     "look at `exchange books`: the line whose difference is not 0 has a fault"),
    # HTTP
    ("E_REQUEST", Stage.WEB, Action.REFUSE, "the request does not have the documented form",
     "see /docs; the message names the part"),
    ("E_REQUEST_TOO_LARGE", Stage.WEB, Action.REFUSE, "the request is larger than any command needs",
     "send less; records travel through Kafka, never through this API"),
    ("E_REQUEST_SLOW", Stage.WEB, Action.REFUSE, "the body of the request did not come in time",
     "send it again, with the same Idempotency-Key; see what slows down or holds back what this client sends"),
    ("E_METHOD", Stage.WEB, Action.REFUSE, "this address does not take this method", "see /docs"),
    ("E_RATE_LIMIT", Stage.WEB, Action.REFUSE, "more requests than this caller may send in so short a time",
     "wait as long as Retry-After says; an operator may raise EXCHANGE_HTTP__REQUESTS_PER_SECOND"),
    ("E_ISSUER", Stage.WEB, Action.RETRY, "the keys of the OpenID Connect issuer cannot be had",
     "check EXCHANGE_HTTP__OIDC_JWKS_URL or the file, and that the issuer answers; tokens of the ledger go on working"),
    ("E_TOKEN", Stage.WEB, Action.REFUSE, "no valid token came with the request",
     "send `Authorization: Bearer <token>`; an operator issues one by `exchange token issue`"),
    ("E_ROLE", Stage.WEB, Action.REFUSE, "this token's role or department may not do this",
     "use a token of the department concerned"),
    ("E_FORM", Stage.WEB, Action.REFUSE, "the form does not belong to this sign-in, or another site sent it",
     "open the page again and send it from there"),
    ("E_NOT_FOUND", Stage.WEB, Action.REFUSE, "there is nothing under this address", "see /docs"),
    ("E_SCHEMAS_ARE_CODE", Stage.WEB, Action.REFUSE, "schemas are code and cannot be written here",
     "change schemas/ and have it reviewed"),
    ("E_API_UNREACHABLE", Stage.WEB, Action.RETRY, "the broker service does not answer",
     "check EXCHANGE_API__URL and that `exchange serve` runs"),
    # schemas and catalogue
    ("E_SCHEMA", Stage.SCHEMAS, Action.STOP, "a schema file is not valid, or breaks a rule of the exchange",
     "correct what the message names"),
    ("E_SCHEMA_INCOMPATIBLE", Stage.SCHEMAS, Action.STOP, "a schema changed in a way that is not allowed",
     "only append nullable fields with default null"),
    ("E_CATALOGUE", Stage.CATALOGUE, Action.STOP, "the catalogue is not valid", "correct what the message names"),
    # connectors and embedded parts
    ("E_CONNECTOR", Stage.SETTINGS, Action.STOP, "the connector does not exist or is not declared rightly",
     "correct what the message names; a connector is named <department>.<connector>"),
    ("E_JARS", Stage.EMBEDDED, Action.STOP, "a jar of Apache Kafka cannot be fetched or has a wrong checksum",
     "check the network, or name a mirror by EXCHANGE_MAVEN_URL; `exchange kafka fetch` goes on where it stopped"),
    ("E_EMBEDDED", Stage.EMBEDDED, Action.STOP, "the embedded Kafka or PostgreSQL did not start",
     "look at the log that the message names"),
    ("E_INTERNAL", Stage.SETTINGS, Action.STOP, "a fault of the exchange itself", "report it with the log line"),
)  # fmt: skip

TABLE: dict[str, Entry] = {row[0]: Entry(*row) for row in _ROWS}
"""Every error by its code."""


class ExchangeError(Exception):
    """The root of all errors. `code` is a key of TABLE; `detail` names things, never a field value.

    Raises KeyError at construction for a code that has no row.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        entry = TABLE[code]
        super().__init__(f"{code}: {detail or entry.meaning}")
        self.code = code
        self.detail = detail or entry.meaning

    @property
    def entry(self) -> Entry:
        """The row of the table."""
        return TABLE[self.code]


class InvalidIdentifier(ExchangeError, ValueError):  # noqa: N818 - the name is promised
    """A text is not a valid identifier. The text itself is never part of the error."""
