ALTER TABLE articles DROP COLUMN unpublish_ms;
ALTER TABLE articles DROP COLUMN publish_ms;
DROP TABLE preview_links;
DROP TABLE edit_leases;
DROP TABLE holds;
DROP TABLE schedules;
