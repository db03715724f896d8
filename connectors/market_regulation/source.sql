-- The administration's tables, as its connectors read them (PostgreSQL). The register: `market-regulation.registrations`.
CREATE TABLE IF NOT EXISTS registrations (
    credit_code            text PRIMARY KEY,
    name                   text NOT NULL,
    entity_type            text,
    established            date NOT NULL,
    legal_representative   text,
    capital_text           text,
    capital_amount         numeric(20, 2),
    capital_currency       text,
    business_scope         text,
    region                 text NOT NULL,
    address                text,
    status                 text NOT NULL,
    registration_authority text NOT NULL,
    authority_code         text NOT NULL,
    approved               date,
    revoked                date,
    old_number             text,
    withdrawn              boolean NOT NULL DEFAULT false,
    updated_at             timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS registrations_by_change ON registrations (updated_at, credit_code);
CREATE OR REPLACE FUNCTION registrations_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER registrations_changed BEFORE UPDATE ON registrations
    FOR EACH ROW EXECUTE FUNCTION registrations_changed();

-- Permits that the administration gave, as `market-regulation.permits` reads them.
CREATE TABLE IF NOT EXISTS permits (
    provider_code           text NOT NULL,
    document_number         text NOT NULL,
    document_name           text NOT NULL,
    subject_name            text NOT NULL,
    subject_kind            text NOT NULL,
    subject_credit_code     text,
    subject_resident_id     text,
    subject_document_kind   text,
    subject_document_number text,
    legal_representative    text,
    kind                    text NOT NULL,
    certificate_name        text,
    certificate_number      text,
    content                 text NOT NULL,
    decided                 date NOT NULL,
    valid_from              date NOT NULL,
    valid_until             date,
    authority_name          text NOT NULL,
    authority_code          text NOT NULL,
    region                  text NOT NULL,
    status                  text NOT NULL,
    expires_at              date,
    remark                  text,
    withdrawn               boolean NOT NULL DEFAULT false,
    updated_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider_code, document_number)
);
CREATE INDEX IF NOT EXISTS permits_by_change ON permits (updated_at, provider_code, document_number);
CREATE OR REPLACE FUNCTION permits_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER permits_changed BEFORE UPDATE ON permits
    FOR EACH ROW EXECUTE FUNCTION permits_changed();

-- Penalties that it imposed, as `market-regulation.penalties` reads them. A repaired one is marked as withdrawn.
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

-- Licences that it issued, as `market-regulation.licences` reads them.
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
