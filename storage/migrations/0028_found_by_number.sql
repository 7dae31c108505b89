-- A message is found by the number that it has in the search index, without a look into `searched` and at its id.

-- Neighbours in time are neighbours here: the newest hits of a search are on few pages. Of a million messages this
-- takes some seconds.
CREATE UNIQUE INDEX messages_search_id ON messages (search_id) WHERE search_id IS NOT NULL;

DROP VIEW search_content;
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
       JOIN messages ON messages.search_id = searched.id
       JOIN threads ON threads.id = messages.thread_id
 WHERE messages.placement = 'placed';
