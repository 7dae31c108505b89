-- What an API key is held to. NULL: nothing. `mailboxes` are ids of ours, `networks` are in CIDR notation.
ALTER TABLE api_keys ADD COLUMN mailboxes TEXT
    CHECK (mailboxes IS NULL OR (json_type(mailboxes) = 'array' AND json_array_length(mailboxes) > 0));
ALTER TABLE api_keys ADD COLUMN networks TEXT
    CHECK (networks IS NULL OR (json_type(networks) = 'array' AND json_array_length(networks) > 0));
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER;
-- To the minute: it is not worth a write for each request.
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
