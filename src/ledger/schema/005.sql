-- Schema 5: who ran a command, by the name that the system knows.
ALTER TABLE runs ADD COLUMN started_by TEXT;
