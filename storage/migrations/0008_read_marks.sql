-- How far each member of staff has read a thread.

-- `seq` is a place in the event log: whatever it told of the thread up to there was seen. `by_hand` when somebody put
-- the mark back themselves, so that opening the page does not undo it.
CREATE TABLE read_marks (
    thread_id  TEXT    NOT NULL REFERENCES threads (id),
    reader     TEXT    NOT NULL CHECK (reader <> ''),
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    seq        INTEGER NOT NULL CHECK (seq >= 0),
    by_hand    INTEGER NOT NULL DEFAULT 0 CHECK (by_hand IN (0, 1)),
    marked_at  INTEGER NOT NULL,
    PRIMARY KEY (thread_id, reader)
) STRICT, WITHOUT ROWID;

-- What can be new to a reader. The types are those of storage/read_marks.py.
CREATE INDEX events_arrivals ON events (thread_id, seq, message_id)
    WHERE type IN ('reply.received', 'reply.automatic', 'thread.updated') AND message_id IS NOT NULL;
