-- The ledger in PostgreSQL, schema 1: as SQLite's schema 6, and whose turn it is to pay. Times that the state machine writes
-- are text, RFC 3339 in UTC; those of leases are the server's. Money is in micro-dollars.

-- One row: the version of this schema.
CREATE TABLE castline (version BIGINT NOT NULL);
INSERT INTO castline VALUES (1);

-- One row: the identity of this ledger.
CREATE TABLE ledger (
    provider   TEXT NOT NULL,
    sandbox    BOOLEAN NOT NULL,
    key_secret BYTEA NOT NULL,
    created_at TEXT NOT NULL,
    payer      TEXT
);

-- What queries need of a record is computed from it, so that no write can forget it.
CREATE TABLE characters (
    seq              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key              TEXT COLLATE "C" NOT NULL UNIQUE,
    state            TEXT NOT NULL,
    record           TEXT NOT NULL,
    digest           BYTEA NOT NULL,
    name             TEXT GENERATED ALWAYS AS (record::jsonb ->> 'name') STORED,
    asset_id         TEXT GENERATED ALWAYS AS (record::jsonb ->> 'asset_id') STORED,
    enrolled_sha256  TEXT GENERATED ALWAYS AS (record::jsonb ->> 'enrolled_sha256') STORED,
    attempted_sha256 TEXT GENERATED ALWAYS AS (record::jsonb ->> 'attempted_sha256') STORED,
    cast_path        TEXT GENERATED ALWAYS AS
        (CASE WHEN strpos(key, chr(31)) > 0 THEN split_part(key, chr(31), 1) END) STORED,
    name_in_cast     TEXT GENERATED ALWAYS AS
        (CASE WHEN strpos(key, chr(31)) > 0 THEN split_part(key, chr(31), 2) END) STORED
);
CREATE INDEX characters_by_state ON characters (state);
CREATE INDEX characters_by_asset ON characters (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX characters_by_cast ON characters (cast_path);
CREATE INDEX characters_by_name ON characters (name_in_cast) WHERE name_in_cast IS NOT NULL;

CREATE TABLE attempts (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key             TEXT COLLATE "C" NOT NULL,
    run             BIGINT NOT NULL,
    request_digest  TEXT NOT NULL,
    price           BIGINT NOT NULL,
    started_at      TEXT NOT NULL,
    ended_at        TEXT,
    outcome         TEXT,
    code            TEXT,
    message         TEXT,
    asset_id        TEXT,
    payment         TEXT,
    settlement      TEXT,
    receipt_number  BIGINT,
    receipt_call    TEXT,
    receipt_written TEXT,
    source_sha256   TEXT,
    kind            TEXT,
    name            TEXT,
    -- The worker that made it, as its session says.
    worker          TEXT DEFAULT nullif(current_setting('castline.worker', true), '')
);
CREATE INDEX attempts_by_key ON attempts (key);
CREATE INDEX attempts_by_outcome ON attempts (outcome, run);
CREATE INDEX attempts_by_call ON attempts (receipt_call) WHERE receipt_call IS NOT NULL;
CREATE INDEX attempts_by_asset ON attempts (asset_id) WHERE asset_id IS NOT NULL;

CREATE TABLE history (
    key           TEXT COLLATE "C" NOT NULL,
    asset_id      TEXT NOT NULL,
    source_sha256 TEXT,
    replaced_at   TEXT NOT NULL
);
CREATE INDEX history_by_asset ON history (asset_id);

CREATE TABLE inspections (
    source_sha256 TEXT COLLATE "C" NOT NULL,
    fingerprint   TEXT COLLATE "C" NOT NULL,
    inspection    TEXT NOT NULL,
    PRIMARY KEY (source_sha256, fingerprint)
);

CREATE TABLE signatures (
    source_sha256 TEXT COLLATE "C" PRIMARY KEY,
    signature     TEXT NOT NULL
);

CREATE TABLE decisions (
    key           TEXT COLLATE "C" NOT NULL,
    source_sha256 TEXT NOT NULL,
    approved      BIGINT NOT NULL,
    decided_by    TEXT NOT NULL,
    decided_at    TEXT NOT NULL,
    PRIMARY KEY (key, source_sha256)
);

CREATE TABLE runs (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command    TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    exit_code  BIGINT,
    started_by TEXT
);

CREATE TABLE realface_sessions (
    rowid      BIGINT GENERATED ALWAYS AS IDENTITY,
    group_id   TEXT COLLATE "C" PRIMARY KEY,
    key        TEXT COLLATE "C" NOT NULL,
    state      TEXT NOT NULL,
    started_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    operator   TEXT NOT NULL,
    consent_at TEXT NOT NULL
);
CREATE INDEX realface_by_key ON realface_sessions (key, started_at);

-- The commands that may write the ledger, one at a time. A worker whose lease ran out is fenced by the next one: it commits
-- nothing more, but what becomes of its own calls.
CREATE TABLE workers (
    uid        TEXT COLLATE "C" PRIMARY KEY,
    command    TEXT NOT NULL,
    host       TEXT NOT NULL,
    started_by TEXT,
    started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    seen_at    TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    ended_at   TIMESTAMPTZ,
    fenced_at  TIMESTAMPTZ,
    lease_ms   BIGINT NOT NULL,           -- as long as it is not heard of, it keeps the ledger
    -- The number of commits, by which a worker that lost its connection knows whether its last one was made.
    commits    BIGINT NOT NULL DEFAULT 0
);

-- What the ledgers of a database share, by the fingerprint of the account's key or wallet.
CREATE SCHEMA IF NOT EXISTS castline_accounts;
CREATE TABLE IF NOT EXISTS castline_accounts.pace (
    account      TEXT COLLATE "C" PRIMARY KEY,
    due          BIGINT NOT NULL DEFAULT 0,   -- when the next call is due, in microseconds since 1970
    paused_until BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS castline_accounts.spent (
    account TEXT COLLATE "C" PRIMARY KEY,
    price   BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS castline_accounts.checks (
    id         TEXT COLLATE "C" PRIMARY KEY,  -- of the consent that it was asked for with
    account    TEXT COLLATE "C" NOT NULL,
    started_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS checks_by_account ON castline_accounts.checks (account, started_at);
CREATE OR REPLACE FUNCTION castline_accounts.now() RETURNS BIGINT LANGUAGE SQL VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- What each run has spent, and the account, kept by the attempts themselves.
CREATE TABLE spent (
    run   BIGINT PRIMARY KEY,
    price BIGINT NOT NULL
);
CREATE FUNCTION counts(outcome TEXT, price BIGINT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE AS
$$ SELECT CASE WHEN outcome IS NULL OR outcome IN ('enrolled', 'in_doubt', 'set_aside') THEN price ELSE 0 END $$;
CREATE FUNCTION spend() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    more BIGINT := counts(NEW.outcome, NEW.price);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        more := more - counts(OLD.outcome, OLD.price);
    END IF;
    INSERT INTO spent VALUES (NEW.run, more) ON CONFLICT (run) DO UPDATE SET price = spent.price + excluded.price;
    INSERT INTO castline_accounts.spent SELECT payer, more FROM ledger WHERE payer IS NOT NULL AND more <> 0
    ON CONFLICT (account) DO UPDATE SET price = castline_accounts.spent.price + excluded.price;
    RETURN NULL;
END $$;
CREATE TRIGGER spend AFTER INSERT OR UPDATE OF outcome, price ON attempts FOR EACH ROW EXECUTE FUNCTION spend();
