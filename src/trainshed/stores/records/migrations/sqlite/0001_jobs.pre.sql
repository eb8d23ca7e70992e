-- Training jobs, what their agents reported, and tags.

CREATE TABLE training_jobs (
    arn TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    created REAL NOT NULL,
    modified REAL NOT NULL,
    status TEXT NOT NULL,
    -- 1 while the engine may still have to act on it
    open INTEGER NOT NULL,
    -- the whole TrainingJob as JSON; the columns above are copies to search by
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX training_jobs_by_created ON training_jobs (region, created, name);
CREATE INDEX training_jobs_by_name ON training_jobs (region, name);
CREATE INDEX training_jobs_by_status ON training_jobs (region, status, name);
-- open is among the columns so that the index alone answers.
CREATE INDEX training_jobs_open ON training_jobs (open, created, name) WHERE open = 1;

-- One line per fact that an agent reported and the server took.
CREATE TABLE facts (
    job_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    host TEXT NOT NULL,
    n INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    -- the fact's further members as JSON
    detail BLOB NOT NULL,
    PRIMARY KEY (job_id, attempt, host, n)
) STRICT, WITHOUT ROWID;

-- The last number taken of each node's journal. Metrics are taken, but not kept as facts.
CREATE TABLE taken (
    job_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    host TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (job_id, attempt, host)
) STRICT, WITHOUT ROWID;

-- The last value of each metric of a job.
CREATE TABLE final_metrics (
    job_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE tags (
    arn TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
) STRICT, WITHOUT ROWID;
