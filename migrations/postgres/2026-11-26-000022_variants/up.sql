-- What is known of an original before variants of it are offered, and the making of its AVIF files.
CREATE TABLE image_plans (
    file_key TEXT PRIMARY KEY NOT NULL,
    animated BOOLEAN NOT NULL,
    has_alpha BOOLEAN NOT NULL,
    -- No variants can be made of it: the original is what readers get.
    broken BOOLEAN NOT NULL,
    -- Whether the AVIF files of the whole picture are there, and around which focal point those of its cuts.
    avif BOOLEAN NOT NULL,
    avif_point TEXT,
    -- When any of this last changed for readers.
    changed_ms BIGINT NOT NULL,
    -- When making is due; null: nothing is to be made.
    due_ms BIGINT,
    tries BIGINT NOT NULL,
    lease_ms BIGINT NOT NULL,
    fence BIGINT NOT NULL
);
CREATE INDEX image_plans_due ON image_plans (due_ms) WHERE due_ms IS NOT NULL;

-- Files of the media store that can be made again.
CREATE TABLE image_variants (
    file_key TEXT NOT NULL,
    spec TEXT NOT NULL,
    object_key TEXT NOT NULL UNIQUE,
    bytes BIGINT NOT NULL,
    -- making, ready, evicting
    state TEXT NOT NULL,
    used_ms BIGINT NOT NULL,
    PRIMARY KEY (file_key, spec)
);
CREATE INDEX image_variants_used ON image_variants (state, used_ms, bytes);

-- Every focal point an image ever had, in hundredths: addresses of cuts around it go on working.
CREATE TABLE image_focal_points (
    image_id TEXT NOT NULL,
    point TEXT NOT NULL,
    PRIMARY KEY (image_id, point)
);
INSERT INTO image_focal_points (image_id, point)
SELECT id, CAST(FLOOR(focal_x * 100 + 0.5) AS BIGINT) || 'x' || CAST(FLOOR(focal_y * 100 + 0.5) AS BIGINT)
FROM images
WHERE focal_x IS NOT NULL AND focal_y IS NOT NULL;
