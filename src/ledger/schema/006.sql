-- Schema 6: what queries need of a record, as columns: computed when they are read, so that no write can forget them.
ALTER TABLE characters ADD COLUMN name TEXT AS (json_extract(record, '$.name')) VIRTUAL;
ALTER TABLE characters ADD COLUMN asset_id TEXT AS (json_extract(record, '$.asset_id')) VIRTUAL;
ALTER TABLE characters ADD COLUMN enrolled_sha256 TEXT AS (json_extract(record, '$.enrolled_sha256')) VIRTUAL;
ALTER TABLE characters ADD COLUMN attempted_sha256 TEXT AS (json_extract(record, '$.attempted_sha256')) VIRTUAL;
-- A key is the cast, U+001F, and the case-folded name; in a ledger of an earlier castline, the name alone.
ALTER TABLE characters ADD COLUMN cast_path TEXT AS (nullif(substr(key, 1, instr(key, char(31)) - 1), '')) VIRTUAL;
ALTER TABLE characters ADD COLUMN name_in_cast TEXT
    AS (CASE WHEN instr(key, char(31)) > 0 THEN substr(key, instr(key, char(31)) + 1) END) VIRTUAL;
DROP INDEX characters_by_asset;
CREATE INDEX characters_by_asset ON characters (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX characters_by_name ON characters (name_in_cast) WHERE name_in_cast IS NOT NULL;
