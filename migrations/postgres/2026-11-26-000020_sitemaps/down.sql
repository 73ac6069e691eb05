DROP INDEX publications_by_time;
