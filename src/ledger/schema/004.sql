-- Schema 4: a fingerprint of the key or wallet that pays, which tells nothing of it. NULL: none has paid yet.
ALTER TABLE ledger ADD COLUMN payer TEXT;
