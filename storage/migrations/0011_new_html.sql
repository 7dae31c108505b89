-- What a message adds to its conversation, as HTML, where the mailbox could tell and it is not the whole body.
ALTER TABLE messages ADD COLUMN new_html TEXT;
