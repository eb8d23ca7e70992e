-- Which server does which work; and what the queue sorts by, told without reading bodies.

ALTER TABLE training_jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
-- where its attempt runs, or where it asks to run; '' for the default
ALTER TABLE training_jobs ADD COLUMN backend TEXT NOT NULL DEFAULT '';
ALTER TABLE training_jobs ADD COLUMN project TEXT NOT NULL DEFAULT '';
-- WarmPoolStatus; '' for a job that keeps no nodes warm
ALTER TABLE training_jobs ADD COLUMN warm_pool TEXT NOT NULL DEFAULT '';

UPDATE training_jobs
SET backend = coalesce(
    json_extract(CAST(body AS TEXT), '$.attempt.backend'),
    json_extract(CAST(body AS TEXT), '$.backend'),
    ''
)
WHERE open = 1;

-- open is among the columns so that SQLite prefers this index to the one without owners.
CREATE INDEX training_jobs_by_owner ON training_jobs (open, owner, created, name, backend)
WHERE open = 1;

CREATE INDEX training_jobs_by_warm_pool ON training_jobs (region, warm_pool, created, name)
WHERE warm_pool <> '';

CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    machine TEXT NOT NULL,
    version TEXT NOT NULL,
    -- the last migration that it knows
    schema INTEGER NOT NULL,
    -- names of backends, as JSON
    reaches BLOB NOT NULL,
    -- when it last said that it lives; seconds since the epoch by the database's clock
    seen REAL NOT NULL,
    -- since when it has said so again and again
    since REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Work that one server does for all.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- The machines of those backends that belong to one.
CREATE TABLE places (
    backend TEXT PRIMARY KEY,
    machine TEXT NOT NULL
) STRICT, WITHOUT ROWID;
