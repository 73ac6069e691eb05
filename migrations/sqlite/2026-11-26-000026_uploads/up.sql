-- A file as it was uploaded, with all that a camera wrote into it, kept beside what readers get of it: for the newsroom
-- alone, and only where the installation keeps uploads.
ALTER TABLE image_files ADD COLUMN upload_of TEXT;
CREATE UNIQUE INDEX image_files_uploads ON image_files (upload_of) WHERE upload_of IS NOT NULL;
