-- The courts' list of dishonest debtors, as the connector `high-court.dishonest-debtors` reads it (PostgreSQL).
CREATE TABLE IF NOT EXISTS dishonest_debtors (
    case_number          text NOT NULL,
    debtor_number        text NOT NULL,
    debtor_name          text NOT NULL,
    debtor_kind          text NOT NULL,
    debtor_sex           text,
    debtor_resident_id   text,
    debtor_credit_code   text,
    legal_representative text,
    court_name           text NOT NULL,
    court_code           text NOT NULL,
    region               text NOT NULL,
    filed                date NOT NULL,
    basis_number         text NOT NULL,
    basis_authority      text NOT NULL,
    obligation           text NOT NULL,
    performance          text NOT NULL,
    performed_part       text,
    unperformed_part     text,
    conduct              text NOT NULL,
    published            date NOT NULL,
    expires_at           date,
    withdrawn            boolean NOT NULL DEFAULT false,
    updated_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (case_number, debtor_number)
);
CREATE INDEX IF NOT EXISTS dishonest_debtors_by_change ON dishonest_debtors (updated_at, case_number, debtor_number);
CREATE OR REPLACE FUNCTION dishonest_debtors_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER dishonest_debtors_changed BEFORE UPDATE ON dishonest_debtors
    FOR EACH ROW EXECUTE FUNCTION dishonest_debtors_changed();
