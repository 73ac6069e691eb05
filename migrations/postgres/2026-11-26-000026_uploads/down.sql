DROP INDEX image_files_uploads;
ALTER TABLE image_files DROP COLUMN upload_of;
