-- What of a thread waits for a person: few messages, found without a look at all the others.
CREATE INDEX messages_held_in_thread ON messages (thread_id) WHERE placement = 'held';
