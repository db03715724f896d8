-- The police's tables, as its connectors read them (PostgreSQL). The household register: `public-security.residents`.
CREATE TABLE IF NOT EXISTS residents (
    resident_id       text PRIMARY KEY,
    name              text NOT NULL,
    former_name       text,
    sex               text NOT NULL,
    ethnic_group      text NOT NULL,
    birth_date        date NOT NULL,
    birth_region      text,
    household_region  text NOT NULL,
    household_address text NOT NULL,
    household_id      text NOT NULL,
    relation_to_head  text NOT NULL,
    household_type    text,
    current_address   text,
    marital_status    text NOT NULL,
    spouse_id         text,
    moved_in          date,
    moved_from_region text,
    cancelled         date,
    cancel_reason     text,
    death_date        date,
    withdrawn         boolean NOT NULL DEFAULT false,
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS residents_by_change ON residents (updated_at, resident_id);
CREATE OR REPLACE FUNCTION residents_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER residents_changed BEFORE UPDATE ON residents
    FOR EACH ROW EXECUTE FUNCTION residents_changed();

-- Household registrations that were cancelled because of a death, as `public-security.deaths` reads them.
CREATE TABLE IF NOT EXISTS death_cancellations (
    resident_id  text,
    name         text NOT NULL,
    sex          text NOT NULL,
    died_on      date NOT NULL,
    cancelled_on date NOT NULL,
    restored_on  date,
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (resident_id)
);
CREATE INDEX IF NOT EXISTS death_cancellations_by_change ON death_cancellations (updated_at, resident_id);
CREATE OR REPLACE FUNCTION death_cancellations_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER death_cancellations_changed BEFORE UPDATE ON death_cancellations
    FOR EACH ROW EXECUTE FUNCTION death_cancellations_changed();
