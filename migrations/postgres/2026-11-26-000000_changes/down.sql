DROP INDEX changes_by_subject;
