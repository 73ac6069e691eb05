-- Keys of programs that call the API. A key is 256 random bits, so its plain SHA-256 is enough.
CREATE TABLE api_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    editor_id TEXT COLLATE "C" NOT NULL REFERENCES editors (id) ON DELETE CASCADE,
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

-- Links by mail that set a password once. A link dies with what it vouched for: the address, and the account's epoch.
CREATE TABLE one_time_tokens (
    hash TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    editor_id TEXT COLLATE "C" NOT NULL REFERENCES editors (id) ON DELETE CASCADE,
    email_key TEXT COLLATE "C" NOT NULL,
    auth_epoch BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT
);
CREATE INDEX one_time_tokens_by_expiry ON one_time_tokens (expires_ms);
CREATE INDEX one_time_tokens_of_editor ON one_time_tokens (editor_id);

-- The second factor: its secret, whether it is on, and the last step whose code was used.
ALTER TABLE editors ADD COLUMN totp TEXT;
ALTER TABLE editors ADD COLUMN totp_on BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE editors ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;

CREATE TABLE recovery_codes (
    hash TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    editor_id TEXT COLLATE "C" NOT NULL REFERENCES editors (id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_of_editor ON recovery_codes (editor_id);
