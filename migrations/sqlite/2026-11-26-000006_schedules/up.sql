-- What is planned for a revision: written with the article, done by a job, at most one of a kind an article.
CREATE TABLE schedules (
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    action TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- The pinned revision and its slug; none for the end of a publication.
    revision BIGINT,
    slug TEXT,
    as_new BOOLEAN NOT NULL,
    editor_id TEXT NOT NULL REFERENCES editors (id),
    failed_ms BIGINT,
    problem TEXT,
    PRIMARY KEY (article_id, action)
);
CREATE INDEX schedules_by_due ON schedules (at_ms) WHERE failed_ms IS NULL;
CREATE INDEX schedules_by_editor ON schedules (editor_id);

-- Sections, tags, authors and images of revisions that are pinned by a schedule or shown by a preview link.
CREATE TABLE holds (
    ref_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (ref_id, holder)
);
CREATE INDEX holds_of_holder ON holds (holder);
CREATE INDEX holds_by_end ON holds (until_ms);
CREATE INDEX holds_of_article ON holds (article_id);

-- Who is editing an article, until when.
CREATE TABLE edit_leases (
    article_id TEXT PRIMARY KEY NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    editor_id TEXT NOT NULL REFERENCES editors (id) ON DELETE CASCADE,
    since_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL
);

-- Links that show one revision to whoever has them. The token is kept as its hash.
CREATE TABLE preview_links (
    id TEXT PRIMARY KEY NOT NULL,
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    revision BIGINT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_by TEXT NOT NULL REFERENCES editors (id) ON DELETE CASCADE,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked_ms BIGINT
);
CREATE INDEX preview_links_of_article ON preview_links (article_id, created_ms, id);
CREATE INDEX preview_links_by_editor ON preview_links (created_by);
CREATE INDEX preview_links_by_end ON preview_links (expires_ms);

ALTER TABLE articles ADD COLUMN publish_ms BIGINT;
ALTER TABLE articles ADD COLUMN unpublish_ms BIGINT;
