-- What a mail system's report says that waits for a person, and what it made of a letter when it was accepted: kept as
-- long as its mail, so that acceptance has the same effect as if it had come without a doubt, and can be taken back.
CREATE TABLE held_reports (
    message_id TEXT NOT NULL PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    report     TEXT NOT NULL CHECK (json_valid(report)),
    letter_id  TEXT REFERENCES outbox (message_id) ON DELETE CASCADE, -- the letter that it turned
    before     TEXT CHECK (before IS NULL OR json_valid(before)), -- the letter's state and problem until then
    after      TEXT CHECK (after IS NULL OR json_valid(after)),  -- and since
    CHECK ((letter_id IS NULL) = (before IS NULL) AND (letter_id IS NULL) = (after IS NULL))
) STRICT;
CREATE INDEX held_reports_of_letter ON held_reports (letter_id) WHERE letter_id IS NOT NULL;
