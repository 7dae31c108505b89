-- Which request began it: W3C traceparent, and the id that the caller gave the request or got for it.
ALTER TABLE outbox ADD COLUMN traceparent TEXT CHECK (length(traceparent) = 55);
ALTER TABLE outbox ADD COLUMN request_id TEXT CHECK (length(request_id) BETWEEN 1 AND 128);
ALTER TABLE events ADD COLUMN traceparent TEXT CHECK (length(traceparent) = 55);
ALTER TABLE events ADD COLUMN request_id TEXT CHECK (length(request_id) BETWEEN 1 AND 128);
ALTER TABLE hints ADD COLUMN traceparent TEXT CHECK (length(traceparent) = 55);
