DROP INDEX schedules_by_asker;
ALTER TABLE schedules DROP COLUMN asked_by;
