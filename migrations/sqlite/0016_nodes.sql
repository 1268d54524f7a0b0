-- The nodes of the hub, each until it has not been heard of for a while, and background jobs, which run once for all of them.

CREATE TABLE nodes (
    node TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    state TEXT NOT NULL,
    sockets INTEGER NOT NULL,
    rooms INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    until INTEGER NOT NULL
);
CREATE INDEX nodes_by_end ON nodes (until);

-- Who runs a job, and until when it may be away. Each taking of a job has a number above the ones before, the fence: a write of the
-- job that names an older one changes nothing.
CREATE TABLE job_leases (
    job TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    last_node TEXT,
    last_began_at INTEGER,
    last_took_ms INTEGER,
    last_outcome TEXT,
    last_rows INTEGER,
    last_error TEXT
);

-- Grows when an operator gives everybody their quotas back.
ALTER TABLE hub ADD COLUMN quota_era INTEGER NOT NULL DEFAULT 0;
