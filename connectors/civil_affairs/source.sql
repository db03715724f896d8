-- Cremations in the province's funeral homes, as the connector `civil-affairs.cremations` reads them (PostgreSQL).
CREATE TABLE IF NOT EXISTS cremations (
    cremation_number   text NOT NULL,
    funeral_home       text NOT NULL,
    deceased_id        text NOT NULL,
    deceased_name      text NOT NULL,
    deceased_sex       text,
    died_on            date NOT NULL,
    certificate_number text,
    cremated_on        date NOT NULL,
    mistaken_since     date,
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cremation_number)
);
CREATE INDEX IF NOT EXISTS cremations_by_change ON cremations (updated_at, cremation_number);
CREATE OR REPLACE FUNCTION cremations_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER cremations_changed BEFORE UPDATE ON cremations
    FOR EACH ROW EXECUTE FUNCTION cremations_changed();

-- Registrations of marriage and divorce, as `civil-affairs.marriages` reads them.
CREATE TABLE IF NOT EXISTS marriages (
    certificate_number      text NOT NULL,
    event                   text NOT NULL,
    registered              date NOT NULL,
    authority_name          text NOT NULL,
    authority_code          text NOT NULL,
    region                  text NOT NULL,
    husband_name            text NOT NULL,
    husband_id              text,
    husband_document_kind   text,
    husband_document_number text,
    husband_birth_date      date NOT NULL,
    husband_nationality     text NOT NULL,
    husband_prior_status    text,
    husband_education       text,
    husband_occupation      text,
    wife_name               text NOT NULL,
    wife_id                 text,
    wife_document_kind      text,
    wife_document_number    text,
    wife_birth_date         date NOT NULL,
    wife_nationality        text NOT NULL,
    wife_prior_status       text,
    wife_education          text,
    wife_occupation         text,
    previous_number         text,
    annulled                date,
    withdrawn               boolean NOT NULL DEFAULT false,
    updated_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (certificate_number)
);
CREATE INDEX IF NOT EXISTS marriages_by_change ON marriages (updated_at, certificate_number);
CREATE OR REPLACE FUNCTION marriages_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER marriages_changed BEFORE UPDATE ON marriages
    FOR EACH ROW EXECUTE FUNCTION marriages_changed();
