-- Deaths by source, as the connectors `human-resources.deaths…` write them (PostgreSQL), and what follows for pensions.
-- One death has up to a row for each source; a pension stops with the first of them, and once. It goes on when every source that
-- reported the death has recalled its report or withdrawn it.
CREATE TABLE IF NOT EXISTS deaths (
    provider_code text NOT NULL,
    resident_id   text NOT NULL,
    name          text NOT NULL,
    death_date    date NOT NULL,
    source        text NOT NULL,
    reversed      boolean NOT NULL,
    PRIMARY KEY (provider_code, resident_id)
);
CREATE TABLE IF NOT EXISTS pensions (
    resident_id text PRIMARY KEY,
    since       date NOT NULL,
    monthly     numeric(10, 2) NOT NULL
);
CREATE OR REPLACE VIEW stopped_pensions AS
SELECT resident_id, pensions.monthly, min(deaths.death_date) AS stopped_from, count(*) AS reports
FROM pensions JOIN deaths USING (resident_id)
WHERE NOT deaths.reversed
GROUP BY resident_id, pensions.monthly;
