-- Licences that the bureau issued, as the connector `data-resources.licences` reads them (PostgreSQL).
CREATE TABLE IF NOT EXISTS licences (
    licence_id             text NOT NULL,
    type_code              text NOT NULL,
    type_name              text NOT NULL,
    name                   text NOT NULL,
    number                 text NOT NULL,
    holder_name            text NOT NULL,
    holder_code_type       text NOT NULL,
    holder_credit_code     text,
    holder_resident_id     text,
    holder_document_number text,
    issuer_name            text NOT NULL,
    issuer_code            text NOT NULL,
    issuer_region          text NOT NULL,
    issued                 date NOT NULL,
    valid_from             date NOT NULL,
    valid_until            date,
    status                 text NOT NULL,
    status_note            text,
    status_changed         date,
    operation              text,
    predecessor            text,
    business_information   text,
    layout_digest          text,
    withdrawn              boolean NOT NULL DEFAULT false,
    updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (licence_id)
);
CREATE INDEX IF NOT EXISTS licences_by_change ON licences (updated_at, licence_id);
CREATE OR REPLACE FUNCTION licences_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER licences_changed BEFORE UPDATE ON licences
    FOR EACH ROW EXECUTE FUNCTION licences_changed();
