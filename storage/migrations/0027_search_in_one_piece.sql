-- New words come into the search index once for each commit, not once for each statement.

-- FTS5 puts all it has in memory into a piece of its own whenever a statement begins that may be undone alone, and a
-- trigger's is one: twenty messages of one commit were twenty pieces, and a search looks into every piece there is.
-- So the triggers only note down what is to come in, and whoever commits lets it in (storage/entering.py). What leaves
-- the index does so at once, as before, while its words are still there to be named.
CREATE TABLE entering (
    id INTEGER PRIMARY KEY -- of `searched`; empty after each commit
) STRICT;

DROP TRIGGER searched_comes;
DROP TRIGGER searched_goes;
DROP TRIGGER message_leaves_search;
DROP TRIGGER message_enters_search;
DROP TRIGGER link_enters_search;
DROP TRIGGER link_leaves_search;

CREATE TRIGGER searched_comes AFTER INSERT ON searched BEGIN
    INSERT INTO entering (id) VALUES (NEW.id);
END;
CREATE TRIGGER searched_goes BEFORE DELETE ON searched BEGIN
    INSERT INTO search (search, rowid, scope, subject, sender, recipients, files, text)
    SELECT 'delete', id, scope, subject, sender, recipients, files, text FROM search_content
     WHERE id = OLD.id AND id NOT IN (SELECT id FROM entering);
    DELETE FROM entering WHERE id = OLD.id;
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
    SELECT 'delete', id, scope, subject, sender, recipients, files, text FROM search_content
     WHERE id = OLD.search_id AND id NOT IN (SELECT id FROM entering);
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
    INSERT INTO entering (id) SELECT OLD.search_id WHERE OLD.search_id NOT IN (SELECT id FROM entering);
END;
-- As before, what the scope was is the scope of now without, or with, the object.
CREATE TRIGGER link_enters_search AFTER INSERT ON thread_objects BEGIN
    INSERT INTO search (search, rowid, scope, subject, sender, recipients, files, text)
    SELECT 'delete', id, replace(scope, ' ' || char(57344) || 'o' || hex(NEW.type || ':' || NEW.object_id) || ' ', ''),
           subject, sender, recipients, files, text
      FROM search_content
     WHERE id IN (SELECT search_id FROM messages WHERE thread_id = NEW.thread_id)
       AND id NOT IN (SELECT id FROM entering);
    INSERT INTO entering (id)
    SELECT search_id FROM messages
     WHERE thread_id = NEW.thread_id AND search_id IS NOT NULL AND search_id NOT IN (SELECT id FROM entering);
END;
CREATE TRIGGER link_leaves_search AFTER DELETE ON thread_objects BEGIN
    INSERT INTO search (search, rowid, scope, subject, sender, recipients, files, text)
    SELECT 'delete', id, scope || ' ' || char(57344) || 'o' || hex(OLD.type || ':' || OLD.object_id) || ' ',
           subject, sender, recipients, files, text
      FROM search_content
     WHERE id IN (SELECT search_id FROM messages WHERE thread_id = OLD.thread_id)
       AND id NOT IN (SELECT id FROM entering);
    INSERT INTO entering (id)
    SELECT search_id FROM messages
     WHERE thread_id = OLD.thread_id AND search_id IS NOT NULL AND search_id NOT IN (SELECT id FROM entering);
END;
