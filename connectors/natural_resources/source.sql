-- The real-estate register, as the connector `natural-resources.real-estate-rights` reads it (PostgreSQL).
CREATE TABLE IF NOT EXISTS real_estate_rights (
    unit_number            text NOT NULL,
    certificate_number     text NOT NULL,
    location               text NOT NULL,
    region                 text NOT NULL,
    land_area              numeric(15, 2),
    building_area          numeric(15, 2),
    land_use               text,
    building_use           text,
    right_kind             text NOT NULL,
    right_nature           text,
    holder_name            text NOT NULL,
    holder_kind            text NOT NULL,
    holder_resident_id     text,
    holder_credit_code     text,
    holder_document_kind   text,
    holder_document_number text,
    co_ownership           text NOT NULL,
    share                  text,
    co_holders             text,
    right_from             date,
    right_until            date,
    registered             date NOT NULL,
    status                 text NOT NULL,
    mortgaged              boolean NOT NULL,
    mortgage_until         date,
    sealed                 boolean NOT NULL,
    sealing_authority      text,
    sealing_document       text,
    sealed_until           date,
    objection              boolean NOT NULL,
    advance_notice         boolean NOT NULL,
    note                   text,
    authority_name         text NOT NULL,
    authority_code         text NOT NULL,
    withdrawn              boolean NOT NULL DEFAULT false,
    updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (unit_number, certificate_number)
);
CREATE INDEX IF NOT EXISTS real_estate_rights_by_change ON real_estate_rights (updated_at, unit_number, certificate_number);
CREATE OR REPLACE FUNCTION real_estate_rights_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER real_estate_rights_changed BEFORE UPDATE ON real_estate_rights
    FOR EACH ROW EXECUTE FUNCTION real_estate_rights_changed();
