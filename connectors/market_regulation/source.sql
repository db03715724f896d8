-- The register's table, as the connector `market-regulation.registrations` reads it (PostgreSQL).
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
