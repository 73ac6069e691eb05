-- Keys of programs that call the API. A key is 256 random bits, so its plain SHA-256 is enough.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    editor_id TEXT NOT NULL REFERENCES editors (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_ms BIGINT,
    used_ms BIGINT,
    created_ms BIGINT NOT NULL
);
CREATE INDEX api_keys_by_created ON api_keys (created_ms, id);
CREATE INDEX api_keys_of_editor ON api_keys (editor_id, created_ms, id);

-- Where editors and their programs call from, and the chain: lines are written without, a job numbers and hashes them.
ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN chain_no BIGINT;
ALTER TABLE audit ADD COLUMN hash TEXT;
CREATE UNIQUE INDEX audit_by_chain ON audit (chain_no);
CREATE INDEX audit_unsealed ON audit (at_ms, id) WHERE chain_no IS NULL;
CREATE INDEX audit_of_actor ON audit (actor_id, at_ms, id);
CREATE INDEX audit_of_action ON audit (action, at_ms, id);
CREATE INDEX audit_of_target_id ON audit (target_id, at_ms, id);
INSERT INTO counters (name, n) VALUES ('audit_chain', 0);

-- The last line that retention removed, on which the rest of the chain hangs.
CREATE TABLE audit_anchors (
    chain_no BIGINT PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL
);
