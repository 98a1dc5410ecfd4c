-- Schema 3: whose an asset id is, found without reading every record; and the name as it was sent, whose spelling may have
-- changed in the cast since.
ALTER TABLE attempts ADD COLUMN name TEXT;
CREATE INDEX attempts_by_asset ON attempts (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX history_by_asset ON history (asset_id);
CREATE INDEX characters_by_asset ON characters (json_extract(record, '$.asset_id'))
    WHERE json_extract(record, '$.asset_id') IS NOT NULL;
