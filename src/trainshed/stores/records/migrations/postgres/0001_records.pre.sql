-- Everything, as the first server on PostgreSQL needs it. Text sorts by its bytes.

CREATE TABLE training_jobs (
    arn TEXT COLLATE "C" PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    region TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created DOUBLE PRECISION NOT NULL,
    modified DOUBLE PRECISION NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    -- 1 while the engine may still have to act on it
    open INTEGER NOT NULL,
    -- the whole TrainingJob as JSON; the other columns are copies to search by
    body BYTEA NOT NULL,
    -- the server that steps it
    owner TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- where its attempt runs, or where it asks to run; '' for the default
    backend TEXT COLLATE "C" NOT NULL DEFAULT '',
    project TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- WarmPoolStatus; '' for a job that keeps no nodes warm
    warm_pool TEXT COLLATE "C" NOT NULL DEFAULT ''
);

CREATE INDEX training_jobs_by_created ON training_jobs (region, created, name, status);
CREATE INDEX training_jobs_by_name ON training_jobs (region, name);
CREATE INDEX training_jobs_by_status ON training_jobs (region, status, name);
CREATE INDEX training_jobs_open ON training_jobs (created, name) WHERE open = 1;
CREATE INDEX training_jobs_by_owner ON training_jobs (owner, created, name, backend)
WHERE open = 1;
CREATE INDEX training_jobs_by_warm_pool ON training_jobs (region, warm_pool, created, name)
WHERE warm_pool <> '';

-- One line per fact that an agent reported and the server took.
CREATE TABLE facts (
    job_id TEXT COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- the fact's further members as JSON
    detail BYTEA NOT NULL,
    PRIMARY KEY (job_id, attempt, host, n)
);

-- The last number taken of each node's journal. Metrics are taken, but not kept as facts.
CREATE TABLE taken (
    job_id TEXT COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (job_id, attempt, host)
);

-- The last value of each metric of a job.
CREATE TABLE final_metrics (
    job_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (job_id, name)
);

CREATE TABLE tags (
    arn TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
);

CREATE TABLE buckets (
    name TEXT COLLATE "C" PRIMARY KEY,
    region TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL
);

CREATE TABLE objects (
    bucket TEXT COLLATE "C" NOT NULL,
    -- UTF-8; order and prefixes go by bytes
    key BYTEA NOT NULL,
    -- several objects may name one file: a copy copies no bytes
    file TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    modified DOUBLE PRECISION NOT NULL,
    storage_class TEXT NOT NULL,
    -- headers, user metadata, checksums, tags as JSON
    attributes BYTEA NOT NULL,
    PRIMARY KEY (bucket, key)
);

CREATE INDEX objects_by_file ON objects (file);

CREATE TABLE uploads (
    id TEXT COLLATE "C" PRIMARY KEY,
    bucket TEXT COLLATE "C" NOT NULL,
    key BYTEA NOT NULL,
    started DOUBLE PRECISION NOT NULL,
    -- "" or the checksum that each part carries
    checksum TEXT NOT NULL,
    -- what the finished object will carry, as JSON
    attributes BYTEA NOT NULL
);

CREATE INDEX uploads_by_key ON uploads (bucket, key, id);

CREATE TABLE parts (
    upload TEXT COLLATE "C" NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    file TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    modified DOUBLE PRECISION NOT NULL,
    -- base64 by algorithm, as JSON
    checksums BYTEA NOT NULL,
    PRIMARY KEY (upload, number)
);

CREATE INDEX parts_by_file ON parts (file);

CREATE TABLE notifications (
    bucket TEXT COLLATE "C" PRIMARY KEY REFERENCES buckets (name) ON DELETE CASCADE,
    -- list of subscriptions as JSON: id, webhook, events, prefix, suffix
    subscriptions BYTEA NOT NULL,
    -- the bucket's NotificationConfiguration as it was put, as JSON
    configuration BYTEA NOT NULL
);

CREATE TABLE events (
    -- in the order of the changes, because those who change take turns
    n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook TEXT COLLATE "C" NOT NULL,
    -- when it may be told next; seconds since the epoch
    due DOUBLE PRECISION NOT NULL,
    -- how often telling it failed
    tries INTEGER NOT NULL,
    -- what happened, as JSON
    body BYTEA NOT NULL
);

CREATE INDEX events_by_webhook ON events (webhook, due, n);

-- The bytes of all files that objects and parts name, each file once, kept with every change.
CREATE TABLE object_space (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    bytes BIGINT NOT NULL
);

INSERT INTO object_space (one, bytes) VALUES (1, 0);

CREATE TABLE servers (
    id TEXT COLLATE "C" PRIMARY KEY,
    url TEXT NOT NULL,
    machine TEXT COLLATE "C" NOT NULL,
    version TEXT NOT NULL,
    -- the last migration that it knows
    schema INTEGER NOT NULL,
    -- names of backends, as JSON
    reaches BYTEA NOT NULL,
    -- when it last said that it lives; seconds since the epoch by the database's clock
    seen DOUBLE PRECISION NOT NULL,
    -- since when it has said so again and again
    since DOUBLE PRECISION NOT NULL
);

-- Work that one server does for all.
CREATE TABLE leases (
    name TEXT COLLATE "C" PRIMARY KEY,
    server TEXT COLLATE "C" NOT NULL,
    until DOUBLE PRECISION NOT NULL
);

-- The machines of those backends that belong to one.
CREATE TABLE places (
    backend TEXT COLLATE "C" PRIMARY KEY,
    machine TEXT COLLATE "C" NOT NULL
);

-- The folder where the bytes are that these rows tell of.
CREATE TABLE shared_folder (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL
);

-- The last batch of changes of each process that writes, for one that lost the database's answer
-- and has to know whether they stand.
CREATE TABLE writers (
    id TEXT COLLATE "C" PRIMARY KEY,
    batch BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL
);
