-- The bureau's published figures, as the connector `statistics.indicators` reads them (PostgreSQL).
CREATE TABLE IF NOT EXISTS indicators (
    indicator_code    text NOT NULL,
    region            text NOT NULL,
    period            text NOT NULL,
    period_kind       text NOT NULL,
    indicator_name    text NOT NULL,
    value             numeric(24, 4) NOT NULL,
    unit              text NOT NULL,
    cumulative        boolean NOT NULL,
    growth            numeric(9, 2),
    sequential_growth numeric(9, 2),
    calibre           text NOT NULL,
    price_basis       text NOT NULL,
    industry          text,
    source_name       text NOT NULL,
    source_code       text NOT NULL,
    published         date NOT NULL,
    revision          integer NOT NULL,
    revision_kind     text NOT NULL,
    revision_note     text,
    withdrawn         boolean NOT NULL DEFAULT false,
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (indicator_code, region, period)
);
CREATE INDEX IF NOT EXISTS indicators_by_change ON indicators (updated_at, indicator_code, region, period);
CREATE OR REPLACE FUNCTION indicators_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER indicators_changed BEFORE UPDATE ON indicators
    FOR EACH ROW EXECUTE FUNCTION indicators_changed();
