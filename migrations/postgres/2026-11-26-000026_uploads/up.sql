-- A file as it was uploaded, with all that a camera wrote into it, kept beside what readers get of it: for the newsroom
-- alone, and only where the installation keeps uploads.
ALTER TABLE image_files ADD COLUMN upload_of TEXT;
CREATE UNIQUE INDEX image_files_uploads ON image_files (upload_of) WHERE upload_of IS NOT NULL;

-- Keys are compared byte by byte, like those they are joined with: an index of another collation is no help there.
ALTER TABLE image_files ALTER COLUMN upload_of TYPE TEXT COLLATE "C";
ALTER TABLE image_plans ALTER COLUMN file_key TYPE TEXT COLLATE "C";
ALTER TABLE image_variants ALTER COLUMN file_key TYPE TEXT COLLATE "C";
ALTER TABLE image_variants ALTER COLUMN spec TYPE TEXT COLLATE "C";
ALTER TABLE image_variants ALTER COLUMN object_key TYPE TEXT COLLATE "C";
ALTER TABLE image_variants ALTER COLUMN state TYPE TEXT COLLATE "C";
ALTER TABLE image_focal_points ALTER COLUMN image_id TYPE TEXT COLLATE "C";
ALTER TABLE image_focal_points ALTER COLUMN point TYPE TEXT COLLATE "C";
ALTER TABLE media_moves ALTER COLUMN target TYPE TEXT COLLATE "C";
ALTER TABLE media_moves ALTER COLUMN object_key TYPE TEXT COLLATE "C";
