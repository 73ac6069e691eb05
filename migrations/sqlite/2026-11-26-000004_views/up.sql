-- How often stories were opened. Nothing about who opened them.

CREATE TABLE view_hours (
    article_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (article_id, hour)
);
CREATE INDEX view_hours_by_hour ON view_hours (hour, article_id);

-- The sums over the windows, kept right as hours fall out of them.
CREATE TABLE view_totals (
    article_id TEXT PRIMARY KEY NOT NULL,
    h24 BIGINT NOT NULL,
    d7 BIGINT NOT NULL,
    d30 BIGINT NOT NULL,
    total BIGINT NOT NULL
);
CREATE INDEX view_totals_by_h24 ON view_totals (h24, article_id) WHERE h24 > 0;
CREATE INDEX view_totals_by_d7 ON view_totals (d7, article_id) WHERE d7 > 0;
CREATE INDEX view_totals_by_d30 ON view_totals (d30, article_id) WHERE d30 > 0;
CREATE INDEX view_totals_by_total ON view_totals (total, article_id);

-- The last batch of each running program, so that one whose answer was lost is not counted twice.
CREATE TABLE view_flushes (
    instance TEXT PRIMARY KEY NOT NULL,
    flush_no BIGINT NOT NULL,
    at_ms BIGINT NOT NULL
);
