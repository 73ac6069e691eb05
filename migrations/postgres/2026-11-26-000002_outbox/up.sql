-- What has to be sent, written with its cause. The payload is emptied when the row is done.
CREATE TABLE outbox (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    payload TEXT NOT NULL,
    dedupe TEXT COLLATE "C" NOT NULL UNIQUE,
    due_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    lease_ms BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    done_ms BIGINT
);
CREATE INDEX outbox_by_due ON outbox (due_ms) WHERE done_ms IS NULL;
CREATE INDEX outbox_by_done ON outbox (done_ms) WHERE done_ms IS NOT NULL;

-- Addresses are kept as HMACs only.
CREATE TABLE share_counts (
    email_hmac TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (email_hmac, day)
);
CREATE INDEX share_counts_by_day ON share_counts (day);

CREATE TABLE share_optouts (
    email_hmac TEXT COLLATE "C" PRIMARY KEY NOT NULL
);
