DROP TABLE share_optouts;
DROP TABLE share_counts;
DROP TABLE outbox;
