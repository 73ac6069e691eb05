-- Other programs that are told what changed for readers.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    languages TEXT NOT NULL,
    section_ids TEXT NOT NULL,
    disabled BOOLEAN NOT NULL,
    disabled_reason TEXT,
    failing_ms BIGINT,
    from_seq BIGINT NOT NULL,
    replay_seq BIGINT,
    replay_until BIGINT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX webhooks_by_time ON webhooks (created_ms, id);

-- What signs; one that was replaced ends at its time.
CREATE TABLE webhook_secrets (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL,
    secret TEXT NOT NULL,
    expires_ms BIGINT
);
CREATE INDEX webhook_secrets_by_webhook ON webhook_secrets (webhook_id);

-- One event for one webhook. Of a webhook that is gone they are removed in pieces, so nothing refers to it.
CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    tries BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    lease_ms BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_by_due ON webhook_deliveries (webhook_id, due_ms, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (webhook_id, created_ms, id);
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (webhook_id, state, created_ms, id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_ms);

CREATE TABLE webhook_attempts (
    delivery_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    detail TEXT,
    response TEXT,
    PRIMARY KEY (delivery_id, n)
);

-- Up to which change deliveries have been made.
INSERT INTO counters (name, n) SELECT 'webhooks', n FROM counters WHERE name = 'changes';
