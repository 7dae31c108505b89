-- Merging the pieces of the search index is work of its own (gateway/threads/merging.py), not of whoever commits.

-- As FTS5 comes, every commit merges some of what others have written, and where sixteen pieces of one level have come
-- together it merges them all at once: after 'optimize' or 'rebuild', which leave all there is on a low level, that was
-- thirteen seconds of one commit with a million messages. Now a commit adds its piece and that is all. The crisis is
-- for a file that nobody tends, since FTS5 takes no more than 2,000 pieces (FTS5_MAX_SEGMENT in SQLite's fts5_index.c).
INSERT INTO search (search, rank) VALUES ('automerge', 0);
INSERT INTO search (search, rank) VALUES ('crisismerge', 1000);
-- How many of a level become one of the next: more are cheaper to write, and dearer to search, which looks into each.
INSERT INTO search (search, rank) VALUES ('usermerge', 4);
