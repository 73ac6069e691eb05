-- Retention looks for the older changes of one thing, whatever happened to it.
CREATE INDEX changes_by_subject ON changes (subject_id, seq);
