DROP TABLE view_flushes;
DROP TABLE view_totals;
DROP TABLE view_hours;
