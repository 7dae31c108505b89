-- A thread stands in an object's list at the time of its last message from the beginning: whoever links it says so, which
-- is half the work of a trigger that writes the row once more.
DROP TRIGGER thread_object_is_dated;
