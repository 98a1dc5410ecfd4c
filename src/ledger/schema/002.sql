-- Schema 2: which receipt in the bucket belongs to an attempt, and what that one says.
ALTER TABLE attempts ADD COLUMN receipt_number INTEGER;  -- NULL: it has no receipt
ALTER TABLE attempts ADD COLUMN receipt_call TEXT;       -- the random id of the call, the same in the receipt
ALTER TABLE attempts ADD COLUMN receipt_written TEXT;    -- the outcome that the receipt was last written with
ALTER TABLE attempts ADD COLUMN source_sha256 TEXT;      -- the image that is paid for, in hex
ALTER TABLE attempts ADD COLUMN kind TEXT;
CREATE INDEX attempts_by_call ON attempts (receipt_call) WHERE receipt_call IS NOT NULL;

-- How images look, whatever inspected them: with it, a re-saved image of somebody who was paid for is recognized after the
-- settings of the inspection or its networks have changed.
CREATE TABLE signatures (
    source_sha256 TEXT PRIMARY KEY,
    signature     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO signatures
    SELECT source_sha256, json_extract(inspection, '$.signature') FROM inspections
    WHERE json_extract(inspection, '$.signature') IS NOT NULL;
