-- Graph ends a delta round that is bounded by a filter at 5,000 messages, and says nothing: then the folder is read whole.
ALTER TABLE folders ADD COLUMN bounded_items INTEGER CHECK (bounded_items >= 0); -- NULL: the round has no bounds
ALTER TABLE folders ADD COLUMN is_whole INTEGER NOT NULL DEFAULT 0 CHECK (is_whole IN (0, 1));
