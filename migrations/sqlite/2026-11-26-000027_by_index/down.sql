DROP INDEX publication_authors_by_published;
ALTER TABLE publication_authors DROP COLUMN published_ms;
DROP INDEX publication_tags_by_published;
ALTER TABLE publication_tags DROP COLUMN published_ms;
DROP INDEX changes_by_subject;
CREATE INDEX changes_by_subject ON changes (subject_id, seq);
DROP INDEX publications_by_translation;
CREATE INDEX publications_by_translation ON publications (translation_group);
