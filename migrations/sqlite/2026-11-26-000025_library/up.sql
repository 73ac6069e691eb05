-- The number of an image's words; it follows the time of the upload. Those that were there before get theirs by a job.
ALTER TABLE images ADD COLUMN row_id BIGINT;
CREATE UNIQUE INDEX images_by_row ON images (row_id);

-- When the right to show it ends, out of its rights, and what has been told of that: 0 nothing, 1 that it is near, 2 that
-- it has come.
ALTER TABLE images ADD COLUMN rights_expire_ms BIGINT;
ALTER TABLE images ADD COLUMN rights_told BIGINT NOT NULL DEFAULT 0;
UPDATE images SET rights_expire_ms =
    CAST(strftime('%s', json_extract(rights, '$.expires_at')) AS INTEGER) * 1000
    + CAST(substr(json_extract(rights, '$.expires_at'), 21, 3) AS INTEGER)
    WHERE json_extract(rights, '$.expires_at') IS NOT NULL;
CREATE INDEX images_by_rights ON images (rights_expire_ms, id);
-- What the job looks at: rights that end some day and have not been told of for good.
CREATE INDEX images_rights_untold ON images (rights_expire_ms) WHERE rights_told < 2;
-- Which image shows a file; one that was replaced is shown by none.
CREATE UNIQUE INDEX images_by_file ON images (file_key);
CREATE INDEX images_of_uploader ON images (uploaded_by, created_ms, id);

-- The words of the library, without accents and cut; the tokenizer only splits at spaces. Beginnings have indexes.
CREATE VIRTUAL TABLE image_words USING fts5 (
    folded, content='', contentless_delete=1, tokenize='ascii', detail=none, prefix='1 2 3 4 5'
);

-- What the camera wrote, for editors; and since when a file is no image's any more: replaced, or its image deleted.
ALTER TABLE image_files ADD COLUMN camera TEXT;
ALTER TABLE image_files ADD COLUMN retired_ms BIGINT;
UPDATE image_files SET retired_ms = (SELECT deleted_ms FROM images WHERE images.id = image_files.image_id);
CREATE INDEX image_files_retired ON image_files (retired_ms) WHERE retired_ms IS NOT NULL;

-- What `newsdesk media move` has copied to a store and read back there.
CREATE TABLE media_moves (
    target TEXT NOT NULL,
    object_key TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (target, object_key)
);
