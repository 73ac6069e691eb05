-- The newsroom's tables, the same on both databases. Times are milliseconds since 1970 (UTC), ids are UUIDv7 text,
-- JSON is text. See docs/ARCHITECTURE.md for what belongs to which room.

CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

CREATE TABLE counters (
    name TEXT PRIMARY KEY NOT NULL,
    n BIGINT NOT NULL
);
INSERT INTO counters (name, n) VALUES ('changes', 0), ('guard_admins', 0);

CREATE TABLE editors (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    role TEXT NOT NULL,
    disabled BOOLEAN NOT NULL,
    password_hash TEXT NOT NULL,
    auth_epoch BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX editors_by_name ON editors (name_key, id);
CREATE INDEX editors_by_created ON editors (created_ms, id);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    editor_id TEXT NOT NULL REFERENCES editors (id) ON DELETE CASCADE,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    used_ms BIGINT NOT NULL,
    idle_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked_ms BIGINT
);
CREATE INDEX sessions_of_editor ON sessions (editor_id, created_ms, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_ms);

CREATE TABLE refresh_tokens (
    hash TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    used_ms BIGINT
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

CREATE TABLE sections (
    id TEXT PRIMARY KEY NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT,
    parent_id TEXT REFERENCES sections (id),
    position BIGINT NOT NULL,
    language TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX sections_by_position ON sections (position, id);
CREATE INDEX sections_by_name ON sections (name_key, id);
CREATE INDEX sections_of_parent ON sections (parent_id);

CREATE TABLE tags (
    id TEXT PRIMARY KEY NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX tags_by_name ON tags (name_key, id);

CREATE TABLE images (
    id TEXT PRIMARY KEY NOT NULL,
    file_key TEXT NOT NULL,
    filename TEXT NOT NULL,
    alt TEXT,
    credit TEXT,
    caption TEXT,
    focal_x DOUBLE PRECISION,
    focal_y DOUBLE PRECISION,
    rights TEXT NOT NULL,
    search TEXT NOT NULL,
    uploaded_by TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    version BIGINT NOT NULL,
    deleted_ms BIGINT
);
CREATE INDEX images_by_created ON images (created_ms, id);
CREATE INDEX images_by_filename ON images (filename, id);

-- Rows stay when an image is deleted: revisions still speak of them.
CREATE TABLE image_files (
    file_key TEXT PRIMARY KEY NOT NULL,
    image_id TEXT NOT NULL REFERENCES images (id),
    sha256 TEXT NOT NULL,
    source_sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    placeholder TEXT
);
CREATE INDEX image_files_of_image ON image_files (image_id);
CREATE INDEX image_files_by_source ON image_files (source_sha256);

CREATE TABLE authors (
    id TEXT PRIMARY KEY NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    role TEXT,
    bio TEXT,
    image_id TEXT REFERENCES images (id),
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX authors_by_name ON authors (name_key, id);
CREATE INDEX authors_of_image ON authors (image_id);

-- The working copy: what editors see and change. Delivery never reads it.
CREATE TABLE articles (
    id TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    content_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    public_state TEXT NOT NULL,
    review TEXT NOT NULL,
    trashed_ms BIGINT,
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    public_title_key TEXT NOT NULL,
    search TEXT NOT NULL,
    language TEXT NOT NULL,
    translation_group TEXT NOT NULL,
    section_id TEXT REFERENCES sections (id),
    owner_id TEXT NOT NULL REFERENCES editors (id),
    content TEXT NOT NULL,
    published_hash TEXT,
    first_published_ms BIGINT,
    published_ms BIGINT,
    created_by TEXT NOT NULL REFERENCES editors (id),
    created_ms BIGINT NOT NULL,
    updated_by TEXT NOT NULL REFERENCES editors (id),
    updated_ms BIGINT NOT NULL
);
CREATE INDEX articles_by_updated ON articles (updated_ms, id);
CREATE INDEX articles_by_created ON articles (created_ms, id);
CREATE INDEX articles_by_title ON articles (title_key, id);
CREATE INDEX articles_by_public_title ON articles (public_title_key, id);
CREATE INDEX articles_by_status ON articles (status, updated_ms, id);
CREATE INDEX articles_by_owner ON articles (owner_id, updated_ms, id);
CREATE INDEX articles_by_section ON articles (section_id, updated_ms, id);
CREATE UNIQUE INDEX articles_one_a_language ON articles (translation_group, language);

CREATE TABLE article_tags (
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    tag_id TEXT NOT NULL REFERENCES tags (id),
    PRIMARY KEY (article_id, tag_id)
);
CREATE INDEX article_tags_by_tag ON article_tags (tag_id, article_id);

CREATE TABLE article_authors (
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    author_id TEXT NOT NULL REFERENCES authors (id),
    PRIMARY KEY (article_id, author_id)
);
CREATE INDEX article_authors_by_author ON article_authors (author_id, article_id);

-- An image placed in an article.
CREATE TABLE captions (
    id TEXT PRIMARY KEY NOT NULL,
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    image_id TEXT NOT NULL REFERENCES images (id),
    role TEXT NOT NULL,
    position BIGINT NOT NULL,
    text TEXT,
    alt TEXT,
    credit TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX captions_of_article ON captions (article_id, position, id);
CREATE INDEX captions_of_image ON captions (image_id, id);
CREATE UNIQUE INDEX captions_one_lead ON captions (article_id) WHERE role = 'lead';

CREATE TABLE revisions (
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    snapshot TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    editor_id TEXT NOT NULL,
    action TEXT NOT NULL,
    note TEXT,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (article_id, number)
);

-- Every slug an article has or ever had in public. An erased article's public slugs stay, and keep answering 410.
CREATE TABLE slugs (
    slug TEXT PRIMARY KEY NOT NULL,
    article_id TEXT NOT NULL,
    working BOOLEAN NOT NULL,
    public TEXT NOT NULL
);
CREATE INDEX slugs_of_article ON slugs (article_id);

-- What readers get: frozen text plus ids. Written by publishing and unpublishing only. A gone row keeps ids and times.
CREATE TABLE publications (
    article_id TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL,
    revision BIGINT NOT NULL,
    content_hash TEXT NOT NULL,
    slug TEXT NOT NULL,
    language TEXT NOT NULL,
    translation_group TEXT NOT NULL,
    section_id TEXT,
    source_key TEXT,
    featured BOOLEAN NOT NULL,
    title_key TEXT NOT NULL,
    published_ms BIGINT NOT NULL,
    first_published_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    feedback_open BOOLEAN NOT NULL,
    card TEXT NOT NULL
);
CREATE INDEX publications_by_published ON publications (published_ms, article_id) WHERE state = 'live';
CREATE INDEX publications_by_updated ON publications (updated_ms, article_id) WHERE state = 'live';
CREATE INDEX publications_by_title ON publications (title_key, article_id) WHERE state = 'live';
CREATE INDEX publications_by_section ON publications (section_id, published_ms, article_id) WHERE state = 'live';
CREATE INDEX publications_by_language ON publications (language, published_ms, article_id) WHERE state = 'live';
CREATE INDEX publications_by_source ON publications (source_key, published_ms, article_id) WHERE state = 'live';
CREATE INDEX publications_by_featured ON publications (featured, published_ms, article_id) WHERE state = 'live';
CREATE INDEX publications_by_group ON publications (translation_group) WHERE state = 'live';

-- The frozen article; removed when it is unpublished.
CREATE TABLE publication_docs (
    article_id TEXT PRIMARY KEY NOT NULL REFERENCES publications (article_id) ON DELETE CASCADE,
    doc TEXT NOT NULL
);

-- Live publications only.
CREATE TABLE publication_tags (
    ref_id TEXT NOT NULL,
    article_id TEXT NOT NULL REFERENCES publications (article_id) ON DELETE CASCADE,
    PRIMARY KEY (ref_id, article_id)
);
CREATE INDEX publication_tags_of_article ON publication_tags (article_id);

CREATE TABLE publication_authors (
    ref_id TEXT NOT NULL,
    article_id TEXT NOT NULL REFERENCES publications (article_id) ON DELETE CASCADE,
    PRIMARY KEY (ref_id, article_id)
);
CREATE INDEX publication_authors_of_article ON publication_authors (article_id);

CREATE TABLE publication_images (
    ref_id TEXT NOT NULL,
    article_id TEXT NOT NULL REFERENCES publications (article_id) ON DELETE CASCADE,
    PRIMARY KEY (ref_id, article_id)
);
CREATE INDEX publication_images_of_article ON publication_images (article_id);

-- Every public change, in commit order. Ids and purge keys only, never words.
CREATE TABLE changes (
    seq BIGINT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    language TEXT,
    keys TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX changes_of_subject ON changes (kind, subject_id, seq);

CREATE TABLE site (
    id BIGINT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    languages TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    consent_version BIGINT NOT NULL,
    version BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

CREATE TABLE consent_texts (
    version BIGINT PRIMARY KEY NOT NULL,
    texts TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE feedback (
    id TEXT PRIMARY KEY NOT NULL,
    reference TEXT NOT NULL UNIQUE,
    article_id TEXT NOT NULL,
    status TEXT NOT NULL,
    visible BOOLEAN NOT NULL,
    message TEXT NOT NULL,
    sender_name TEXT NOT NULL,
    sender_email TEXT,
    sender_phone TEXT,
    sender_address TEXT,
    email_key TEXT,
    search TEXT NOT NULL,
    consent_version BIGINT NOT NULL,
    consent_ms BIGINT NOT NULL,
    may_publish BOOLEAN NOT NULL,
    internal_note TEXT,
    reply TEXT,
    replied_ms BIGINT,
    replied_by TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    expire_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX feedback_by_created ON feedback (created_ms, id);
CREATE INDEX feedback_by_status ON feedback (status, created_ms, id);
CREATE INDEX feedback_of_article ON feedback (article_id, created_ms, id);
CREATE INDEX feedback_by_email ON feedback (email_key);
CREATE INDEX feedback_by_expiry ON feedback (expire_ms);

CREATE TABLE idempotency (
    scope TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status BIGINT NOT NULL,
    headers TEXT NOT NULL,
    body TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (scope, idempotency_key)
);
CREATE INDEX idempotency_by_created ON idempotency (created_ms);

-- Who did what to which, when. Personal data of readers is never in it.
CREATE TABLE audit (
    id TEXT PRIMARY KEY NOT NULL,
    at_ms BIGINT NOT NULL,
    actor_type TEXT NOT NULL,
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    target_type TEXT NOT NULL,
    target_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at_ms, id);
CREATE INDEX audit_of_target ON audit (target_type, target_id, at_ms);
