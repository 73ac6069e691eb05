DROP TABLE corrections;
DROP INDEX revisions_by_age;
ALTER TABLE revisions DROP COLUMN restored_from;
ALTER TABLE revisions DROP COLUMN kept;
