-- The department's table of penalties, as the connector `ecology-and-environment.penalties` reads it (PostgreSQL).
CREATE TABLE IF NOT EXISTS penalties (
    provider_code           text NOT NULL,
    document_number         text NOT NULL,
    subject_name            text NOT NULL,
    subject_kind            text NOT NULL,
    subject_credit_code     text,
    subject_resident_id     text,
    subject_document_kind   text,
    subject_document_number text,
    legal_representative    text,
    violation               text NOT NULL,
    facts                   text NOT NULL,
    basis                   text NOT NULL,
    kind                    text NOT NULL,
    content                 text NOT NULL,
    fine                    numeric(18, 6),
    confiscated             numeric(18, 6),
    licence_taken           text,
    decided                 date NOT NULL,
    valid_until             date,
    authority_name          text NOT NULL,
    authority_code          text NOT NULL,
    region                  text NOT NULL,
    disclosure_class        text NOT NULL,
    repair_from             date,
    repair_state            text NOT NULL,
    repair_requested        date,
    expires_at              date NOT NULL,
    remark                  text,
    withdrawn               boolean NOT NULL DEFAULT false,
    updated_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider_code, document_number)
);
CREATE INDEX IF NOT EXISTS penalties_by_change ON penalties (updated_at, provider_code, document_number);
CREATE OR REPLACE FUNCTION penalties_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER penalties_changed BEFORE UPDATE ON penalties
    FOR EACH ROW EXECUTE FUNCTION penalties_changed();
