-- Search: what is found, kept up by the tables themselves, whoever writes to them.

-- What may be found. `id` sorts by time (see storage/search.py), so that the newest is found first.
-- `files` are the names of what is attached, `text` is the body as plain text where `messages.new_text` has none.
CREATE TABLE searched (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    message_id TEXT    NOT NULL CHECK (message_id <> ''),
    files      TEXT,
    text       TEXT
) STRICT;
ALTER TABLE messages ADD COLUMN search_id INTEGER; -- NULL: stored by a release without search, and not yet read through

-- The words of each message that stands in its thread. `scope` has whose and which it is: tokens that begin with U+E000,
-- which no question of a person's has in it. No virtual table may have a part in this (json_each is one): then FTS5
-- could neither rebuild the index nor check it.
CREATE VIEW search_content AS
SELECT searched.id AS id,
       char(57344) || 'a' || substr(messages.account_id, -10) || ' '
           || char(57344) || 't' || substr(messages.thread_id, -10) || ' '
           || char(57344) || 'm' || substr(threads.mailbox_id, -10) || ' '
           || char(57344) || messages.direction || ' '
           || coalesce((SELECT group_concat(' ' || char(57344) || 'o' || hex(type || ':' || object_id) || ' ', '')
                          FROM thread_objects WHERE thread_objects.thread_id = messages.thread_id), '') AS scope,
       messages.subject AS subject,
       coalesce(messages.from_name, '') || ' ' || coalesce(messages.from_address, '') || ' '
           || coalesce(messages.created_by, '') AS sender,
       trim(replace(replace(replace(replace(replace(
           coalesce(json_extract(messages.recipients, '$.to'), '') || coalesce(json_extract(messages.recipients, '$.cc'), ''),
           '{"name":null,"address":"', ''), '{"name":"', ''), '","address":"', ' '), '"},', ', '), '"}][', ', '),
           '[]{}"') AS recipients,
       coalesce(searched.files, '') AS files,
       substr(coalesce(messages.new_text, searched.text, messages.preview), 1, 100000) AS text
  FROM searched
       JOIN messages ON messages.id = searched.message_id
       JOIN threads ON threads.id = messages.thread_id
 WHERE messages.placement = 'placed';

CREATE VIRTUAL TABLE search USING fts5 (
    text, subject, sender, recipients, files, scope, -- what is in the first column takes least room
    content = 'search_content', content_rowid = 'id', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);

-- An entry leaves the index by being named with the very words that it came in with: so always before they change.
CREATE TRIGGER searched_comes AFTER INSERT ON searched BEGIN
    INSERT INTO search (rowid, scope, subject, sender, recipients, files, text)
    SELECT id, scope, subject, sender, recipients, files, text FROM search_content WHERE id = NEW.id;
END;
CREATE TRIGGER searched_goes BEFORE DELETE ON searched BEGIN
    INSERT INTO search (search, rowid, scope, subject, sender, recipients, files, text)
    SELECT 'delete', id, scope, subject, sender, recipients, files, text FROM search_content WHERE id = OLD.id;
END;
CREATE TRIGGER searched_stays BEFORE UPDATE ON searched BEGIN
    SELECT RAISE(ABORT, 'what is searched is deleted and inserted anew');
END;
CREATE TRIGGER message_goes_from_search BEFORE DELETE ON messages WHEN OLD.search_id IS NOT NULL BEGIN
    DELETE FROM searched WHERE id = OLD.search_id;
END;
CREATE TRIGGER message_leaves_search
BEFORE UPDATE OF thread_id, direction, placement, subject, from_name, from_address, recipients, new_text, preview,
                 created_by
ON messages WHEN OLD.search_id IS NOT NULL AND OLD.placement = 'placed' AND (
    OLD.thread_id <> NEW.thread_id OR OLD.direction <> NEW.direction OR OLD.placement <> NEW.placement
    OR OLD.subject <> NEW.subject OR OLD.from_name IS NOT NEW.from_name OR OLD.from_address IS NOT NEW.from_address
    OR OLD.recipients <> NEW.recipients OR OLD.new_text IS NOT NEW.new_text OR OLD.preview <> NEW.preview
    OR OLD.created_by IS NOT NEW.created_by)
BEGIN
    INSERT INTO search (search, rowid, scope, subject, sender, recipients, files, text)
    SELECT 'delete', id, scope, subject, sender, recipients, files, text FROM search_content WHERE id = OLD.search_id;
END;
CREATE TRIGGER message_enters_search
AFTER UPDATE OF thread_id, direction, placement, subject, from_name, from_address, recipients, new_text, preview,
                created_by
ON messages WHEN OLD.search_id IS NOT NULL AND NEW.placement = 'placed' AND (
    OLD.thread_id <> NEW.thread_id OR OLD.direction <> NEW.direction OR OLD.placement <> NEW.placement
    OR OLD.subject <> NEW.subject OR OLD.from_name IS NOT NEW.from_name OR OLD.from_address IS NOT NEW.from_address
    OR OLD.recipients <> NEW.recipients OR OLD.new_text IS NOT NEW.new_text OR OLD.preview <> NEW.preview
    OR OLD.created_by IS NOT NEW.created_by)
BEGIN
    INSERT INTO search (rowid, scope, subject, sender, recipients, files, text)
    SELECT id, scope, subject, sender, recipients, files, text FROM search_content WHERE id = OLD.search_id;
END;
-- A link is news to all messages of the thread. AFTER, since a link that is there already changes nothing: so what the
-- scope was before is the scope of now without, or with, the object.
CREATE TRIGGER link_enters_search AFTER INSERT ON thread_objects BEGIN
    INSERT INTO search (search, rowid, scope, subject, sender, recipients, files, text)
    SELECT 'delete', id, replace(scope, ' ' || char(57344) || 'o' || hex(NEW.type || ':' || NEW.object_id) || ' ', ''),
           subject, sender, recipients, files, text
      FROM search_content WHERE id IN (SELECT search_id FROM messages WHERE thread_id = NEW.thread_id);
    INSERT INTO search (rowid, scope, subject, sender, recipients, files, text)
    SELECT id, scope, subject, sender, recipients, files, text
      FROM search_content WHERE id IN (SELECT search_id FROM messages WHERE thread_id = NEW.thread_id);
END;
CREATE TRIGGER link_leaves_search AFTER DELETE ON thread_objects BEGIN
    INSERT INTO search (search, rowid, scope, subject, sender, recipients, files, text)
    SELECT 'delete', id, scope || ' ' || char(57344) || 'o' || hex(OLD.type || ':' || OLD.object_id) || ' ',
           subject, sender, recipients, files, text
      FROM search_content WHERE id IN (SELECT search_id FROM messages WHERE thread_id = OLD.thread_id);
    INSERT INTO search (rowid, scope, subject, sender, recipients, files, text)
    SELECT id, scope, subject, sender, recipients, files, text
      FROM search_content WHERE id IN (SELECT search_id FROM messages WHERE thread_id = OLD.thread_id);
END;

-- What an earlier release stored, on its way into the index: `after_id` is the last message that was looked at.
CREATE TABLE search_backlogs (
    account_id TEXT    PRIMARY KEY REFERENCES accounts (id),
    after_id   TEXT    NOT NULL DEFAULT '',
    indexed    INTEGER NOT NULL DEFAULT 0 CHECK (indexed >= 0),
    total      INTEGER CHECK (total >= 0)
) STRICT;
INSERT INTO search_backlogs (account_id) SELECT DISTINCT account_id FROM messages;

-- Lists of threads: of an object in one walk along an index, and of those that wait for an answer.
ALTER TABLE thread_objects ADD COLUMN last_message_at INTEGER NOT NULL DEFAULT 0;
UPDATE thread_objects
   SET last_message_at = (SELECT last_message_at FROM threads WHERE threads.id = thread_objects.thread_id);
CREATE INDEX thread_objects_newest ON thread_objects (account_id, type, object_id, last_message_at, thread_id);
CREATE TRIGGER thread_object_is_dated AFTER INSERT ON thread_objects BEGIN
    UPDATE thread_objects
       SET last_message_at = (SELECT last_message_at FROM threads WHERE threads.id = NEW.thread_id)
     WHERE account_id = NEW.account_id AND type = NEW.type AND object_id = NEW.object_id
       AND thread_id = NEW.thread_id;
END;
CREATE TRIGGER thread_objects_follow AFTER UPDATE OF last_message_at ON threads
WHEN OLD.last_message_at <> NEW.last_message_at BEGIN
    UPDATE thread_objects SET last_message_at = NEW.last_message_at WHERE thread_id = NEW.id;
END;
CREATE INDEX threads_unanswered ON threads (account_id, last_message_at, id) WHERE last_direction = 'in';
CREATE INDEX threads_of_mailbox ON threads (account_id, mailbox_id, last_message_at, id);
