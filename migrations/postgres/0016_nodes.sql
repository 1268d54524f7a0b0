-- The nodes of the hub, each until it has not been heard of for a while, and background jobs, which run once for all of them.

CREATE TABLE nodes (
    node TEXT COLLATE "C" PRIMARY KEY,
    version TEXT NOT NULL,
    schema_version BIGINT NOT NULL,
    state TEXT NOT NULL,
    sockets BIGINT NOT NULL,
    rooms BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX nodes_by_end ON nodes (until);

-- Who runs a job, and until when it may be away. Each taking of a job has a number above the ones before, the fence: a write of the
-- job that names an older one changes nothing.
CREATE TABLE job_leases (
    job TEXT COLLATE "C" PRIMARY KEY,
    node TEXT COLLATE "C" NOT NULL,
    fence BIGINT NOT NULL,
    until BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    last_node TEXT,
    last_began_at BIGINT,
    last_took_ms BIGINT,
    last_outcome TEXT,
    last_rows BIGINT,
    last_error TEXT
);

-- Grows when an operator gives everybody their quotas back.
ALTER TABLE hub ADD COLUMN quota_era BIGINT NOT NULL DEFAULT 0;
