-- Schema 2: when the last calls of an account were sent; and the view that a file has, in which its fields are computed.
ALTER TABLE castline_accounts.pace
    ADD COLUMN IF NOT EXISTS sent BIGINT[] NOT NULL DEFAULT '{}'; -- in order, in microseconds since 1970
CREATE VIEW character_fields AS SELECT * FROM characters;
