-- Schema 7: what queries need of a record is computed where it is asked for, not at each write: that took a sixth of its time.
DROP INDEX characters_by_asset;
DROP INDEX characters_by_name;
ALTER TABLE characters DROP COLUMN name;
ALTER TABLE characters DROP COLUMN asset_id;
ALTER TABLE characters DROP COLUMN enrolled_sha256;
ALTER TABLE characters DROP COLUMN attempted_sha256;
ALTER TABLE characters DROP COLUMN cast_path;
ALTER TABLE characters DROP COLUMN name_in_cast;
CREATE VIEW character_fields AS
SELECT seq, key, state, record, digest,
       json_extract(record, '$.name') AS name,
       json_extract(record, '$.asset_id') AS asset_id,
       json_extract(record, '$.enrolled_sha256') AS enrolled_sha256,
       json_extract(record, '$.attempted_sha256') AS attempted_sha256,
       nullif(substr(key, 1, instr(key, char(31)) - 1), '') AS cast_path,
       CASE WHEN instr(key, char(31)) > 0 THEN substr(key, instr(key, char(31)) + 1) END AS name_in_cast
FROM characters;
-- The same expressions, so that the view's queries use them.
CREATE INDEX characters_by_asset ON characters (json_extract(record, '$.asset_id'))
    WHERE json_extract(record, '$.asset_id') IS NOT NULL;
CREATE INDEX characters_by_name
    ON characters (CASE WHEN instr(key, char(31)) > 0 THEN substr(key, instr(key, char(31)) + 1) END);
