-- The number of an image's words; it follows the time of the upload. Those that were there before get theirs by a job.
ALTER TABLE images ADD COLUMN row_id BIGINT;
CREATE UNIQUE INDEX images_by_row ON images (row_id);

-- When the right to show it ends, out of its rights, and what has been told of that: 0 nothing, 1 that it is near, 2 that
-- it has come.
ALTER TABLE images ADD COLUMN rights_expire_ms BIGINT;
ALTER TABLE images ADD COLUMN rights_told BIGINT NOT NULL DEFAULT 0;
UPDATE images SET rights_expire_ms = round(extract(epoch FROM (rights::json ->> 'expires_at')::timestamptz) * 1000)::bigint
    WHERE rights::json ->> 'expires_at' IS NOT NULL;
CREATE INDEX images_by_rights ON images (rights_expire_ms, id);
-- What the job looks at: rights that end some day and have not been told of for good.
CREATE INDEX images_rights_untold ON images (rights_expire_ms) WHERE rights_told < 2;
-- Which image shows a file; one that was replaced is shown by none.
CREATE UNIQUE INDEX images_by_file ON images (file_key);
CREATE INDEX images_of_uploader ON images (uploaded_by, created_ms, id);

-- The words of the library, without accents and cut.
CREATE TABLE image_words (
    row_id BIGINT PRIMARY KEY NOT NULL REFERENCES images (row_id) ON DELETE CASCADE,
    folded tsvector NOT NULL
) WITH (toast_tuple_target = 128);
CREATE INDEX image_words_folded ON image_words USING gin (folded);

-- What the camera wrote, for editors; and since when a file is no image's any more: replaced, or its image deleted.
ALTER TABLE image_files ADD COLUMN camera TEXT;
ALTER TABLE image_files ADD COLUMN retired_ms BIGINT;
UPDATE image_files SET retired_ms = (SELECT deleted_ms FROM images WHERE images.id = image_files.image_id);
CREATE INDEX image_files_retired ON image_files (retired_ms) WHERE retired_ms IS NOT NULL;

-- What `newsdesk media move` has copied to a store and read back there.
CREATE TABLE media_moves (
    target TEXT COLLATE "C" NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (target, object_key)
);
