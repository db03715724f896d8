-- The commission's tables, as its connectors read them (PostgreSQL). Reported deaths: `health.deaths`.
CREATE TABLE IF NOT EXISTS deaths (
    provider_code      text NOT NULL,
    resident_id        text NOT NULL,
    name               text NOT NULL,
    sex                text,
    death_date         date NOT NULL,
    death_place        text,
    cause_class        text,
    source             text NOT NULL,
    certificate_number text,
    registered_at      date NOT NULL,
    reversed           boolean NOT NULL DEFAULT false,
    reversed_at        date,
    confidence         text,
    withdrawn          boolean NOT NULL DEFAULT false,
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider_code, resident_id)
);
ALTER TABLE deaths ADD COLUMN IF NOT EXISTS confidence text;
CREATE INDEX IF NOT EXISTS deaths_by_change ON deaths (updated_at, provider_code, resident_id);
CREATE OR REPLACE FUNCTION deaths_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER deaths_changed BEFORE UPDATE ON deaths
    FOR EACH ROW EXECUTE FUNCTION deaths_changed();

-- Medical certificates of birth, as `health.births` reads them.
CREATE TABLE IF NOT EXISTS births (
    certificate_number     text NOT NULL,
    name                   text NOT NULL,
    sex                    text NOT NULL,
    birth_date             date NOT NULL,
    birth_time             text,
    health_status          text,
    birth_region           text NOT NULL,
    birth_place            text NOT NULL,
    institution_name       text NOT NULL,
    institution_code       text,
    mother_name            text NOT NULL,
    mother_id              text,
    mother_document_kind   text,
    mother_document_number text,
    mother_nationality     text,
    mother_address         text,
    father_name            text,
    father_id              text,
    father_document_kind   text,
    father_document_number text,
    father_nationality     text,
    issued                 date NOT NULL,
    replaces               text,
    voided                 date,
    withdrawn              boolean NOT NULL DEFAULT false,
    updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (certificate_number)
);
CREATE INDEX IF NOT EXISTS births_by_change ON births (updated_at, certificate_number);
CREATE OR REPLACE FUNCTION births_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER births_changed BEFORE UPDATE ON births
    FOR EACH ROW EXECUTE FUNCTION births_changed();
