-- The commission's table of reported deaths, as the connector `health.deaths` reads it (PostgreSQL).
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
    withdrawn          boolean NOT NULL DEFAULT false,
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider_code, resident_id)
);
CREATE INDEX IF NOT EXISTS deaths_by_change ON deaths (updated_at, provider_code, resident_id);
CREATE OR REPLACE FUNCTION deaths_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER deaths_changed BEFORE UPDATE ON deaths
    FOR EACH ROW EXECUTE FUNCTION deaths_changed();
