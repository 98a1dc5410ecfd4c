-- The ledger, schema 1. Times are RFC 3339 in UTC, money is in micro-dollars.

-- One row: the identity of this ledger.
CREATE TABLE ledger (
    provider   TEXT NOT NULL,
    sandbox    INTEGER NOT NULL,
    key_secret BLOB NOT NULL,            -- makes object keys unguessable
    created_at TEXT NOT NULL
) STRICT;

-- The state of every character: the record as JSON, with a digest that detects damage.
CREATE TABLE characters (
    seq    INTEGER PRIMARY KEY,          -- the order in which they were first seen
    key    TEXT NOT NULL UNIQUE,         -- the case-folded name
    state  TEXT NOT NULL,
    record TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE INDEX characters_by_state ON characters (state);

-- Every paid call that was intended, kept forever.
CREATE TABLE attempts (
    id             INTEGER PRIMARY KEY,
    key            TEXT NOT NULL,
    run            INTEGER NOT NULL,
    request_digest TEXT NOT NULL,        -- SHA-256 of the request, without secrets
    price          INTEGER NOT NULL,     -- as expected; once enrolled, as reported by the API
    started_at     TEXT NOT NULL,
    ended_at       TEXT,
    outcome        TEXT,                 -- NULL: intent; enrolled, refused, released, set_aside, in_doubt, forgotten
    code           TEXT,                 -- the reason; enrolled: 'priced' if the API reported the price, 'adopted' by a person, 'imported' from a manifest
    message        TEXT,
    asset_id       TEXT,
    payment        TEXT,                 -- wallet mode: the signed authorization, to be resent unchanged
    settlement     TEXT                  -- wallet mode: the receipt
) STRICT;
CREATE INDEX attempts_by_key ON attempts (key);
CREATE INDEX attempts_by_outcome ON attempts (outcome, run);

-- Asset ids that were replaced by a later one.
CREATE TABLE history (
    key           TEXT NOT NULL,
    asset_id      TEXT NOT NULL,
    source_sha256 TEXT,
    replaced_at   TEXT NOT NULL
) STRICT;

-- The results of inspections, by the image's content and the inspector's fingerprint.
CREATE TABLE inspections (
    source_sha256 TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    inspection    TEXT NOT NULL,
    PRIMARY KEY (source_sha256, fingerprint)
) STRICT, WITHOUT ROWID;

-- The decisions of people about images that need review.
CREATE TABLE decisions (
    key           TEXT NOT NULL,
    source_sha256 TEXT NOT NULL,
    approved      INTEGER NOT NULL,
    decided_by    TEXT NOT NULL,
    decided_at    TEXT NOT NULL,
    PRIMARY KEY (key, source_sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    id         INTEGER PRIMARY KEY,
    command    TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    exit_code  INTEGER
) STRICT;

-- Liveness sessions of real actors: ids and states, nothing that the camera recorded.
CREATE TABLE realface_sessions (
    group_id   TEXT PRIMARY KEY,
    key        TEXT NOT NULL,
    state      TEXT NOT NULL,
    started_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    operator   TEXT NOT NULL,            -- who recorded the actor's consent
    consent_at TEXT NOT NULL
) STRICT;
CREATE INDEX realface_by_key ON realface_sessions (key, started_at);
