-- The order in which training jobs changed: one row for each, under the number of its last change.
-- Triggers write it, so that no change of a job can be kept without its number.

CREATE TABLE training_job_changes (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    arn TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    -- 1 for a job that was deleted
    gone INTEGER NOT NULL
) STRICT;

CREATE INDEX training_job_changes_gone ON training_job_changes (n) WHERE gone = 1;

-- Which numbers these are: those of another file mean other changes.
CREATE TABLE training_job_numbers (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL
) STRICT;

INSERT INTO training_job_numbers (one, id) VALUES (1, lower(hex(randomblob(8))));

INSERT INTO training_job_changes (arn, region, name, gone)
SELECT arn, region, name, 0 FROM training_jobs ORDER BY modified, arn;

CREATE TRIGGER training_job_added AFTER INSERT ON training_jobs
BEGIN
    DELETE FROM training_job_changes WHERE arn = NEW.arn;
    INSERT INTO training_job_changes (arn, region, name, gone)
    VALUES (NEW.arn, NEW.region, NEW.name, 0);
END;

CREATE TRIGGER training_job_changed AFTER UPDATE OF body ON training_jobs
BEGIN
    DELETE FROM training_job_changes WHERE arn = NEW.arn;
    INSERT INTO training_job_changes (arn, region, name, gone)
    VALUES (NEW.arn, NEW.region, NEW.name, 0);
END;

CREATE TRIGGER training_job_removed AFTER DELETE ON training_jobs
BEGIN
    DELETE FROM training_job_changes WHERE arn = OLD.arn;
    INSERT INTO training_job_changes (arn, region, name, gone)
    VALUES (OLD.arn, OLD.region, OLD.name, 1);
END;
