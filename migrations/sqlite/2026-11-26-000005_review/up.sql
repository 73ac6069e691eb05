-- A revision that was published, scheduled or shown by a preview link is kept whatever its age; one made by restoring
-- another says which.
ALTER TABLE revisions ADD COLUMN kept BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE revisions ADD COLUMN restored_from BIGINT;
UPDATE revisions SET kept = TRUE WHERE action = 'publish';
CREATE INDEX revisions_by_age ON revisions (kept, created_ms);

-- What readers are told was wrong in a live story.
CREATE TABLE corrections (
    id TEXT PRIMARY KEY NOT NULL,
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    created_by TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX corrections_of_article ON corrections (article_id, at_ms, id);
