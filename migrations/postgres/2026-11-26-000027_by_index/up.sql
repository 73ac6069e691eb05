-- What a story's page asks of these, the index alone tells.
DROP INDEX publications_by_translation;
CREATE INDEX publications_by_translation ON publications (translation_group, article_id);
DROP INDEX changes_by_subject;
CREATE INDEX changes_by_subject ON changes (subject_id, seq, kind, at_ms);

-- A tag's or an author's stories in the order of their publication.
ALTER TABLE publication_tags ADD COLUMN published_ms BIGINT NOT NULL DEFAULT 0;
UPDATE publication_tags SET published_ms =
    (SELECT p.published_ms FROM publications p WHERE p.article_id = publication_tags.article_id);
CREATE INDEX publication_tags_by_published ON publication_tags (ref_id, published_ms, article_id);
ALTER TABLE publication_authors ADD COLUMN published_ms BIGINT NOT NULL DEFAULT 0;
UPDATE publication_authors SET published_ms =
    (SELECT p.published_ms FROM publications p WHERE p.article_id = publication_authors.article_id);
CREATE INDEX publication_authors_by_published ON publication_authors (ref_id, published_ms, article_id);
-- A program that does not know the column must not write rows without it.
ALTER TABLE publication_tags ALTER COLUMN published_ms DROP DEFAULT;
ALTER TABLE publication_authors ALTER COLUMN published_ms DROP DEFAULT;
