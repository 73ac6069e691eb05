-- Who had asked for the review of what is planned: planning clears the review, and they still wait for its end.
ALTER TABLE schedules ADD COLUMN asked_by TEXT REFERENCES editors (id) ON DELETE SET NULL;
CREATE INDEX schedules_by_asker ON schedules (asked_by);
