-- The order in which training jobs changed: one row for each, under the number of its last change.
-- A trigger writes it, so that servers that do not know of it number their changes as well. Those
-- who write take turns, so the numbers are in the order in which changes come to be seen.

CREATE SEQUENCE training_job_change_numbers AS BIGINT;

CREATE TABLE training_job_changes (
    n BIGINT NOT NULL UNIQUE DEFAULT nextval('training_job_change_numbers'),
    arn TEXT COLLATE "C" PRIMARY KEY,
    region TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- 1 for a job that was deleted
    gone INTEGER NOT NULL
);

CREATE INDEX training_job_changes_gone ON training_job_changes (n) WHERE gone = 1;

-- Which numbers these are: those of another database mean other changes.
CREATE TABLE training_job_numbers (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL
);

INSERT INTO training_job_numbers (one, id)
VALUES (1, left(md5(random()::text || clock_timestamp()::text), 16));

CREATE FUNCTION number_training_job_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    job training_jobs;
BEGIN
    IF TG_OP = 'DELETE' THEN
        job := OLD;
    ELSE
        job := NEW;
    END IF;
    INSERT INTO training_job_changes (arn, region, name, gone)
    VALUES (job.arn, job.region, job.name, (TG_OP = 'DELETE')::integer)
    ON CONFLICT (arn) DO UPDATE SET n = excluded.n, gone = excluded.gone;
    RETURN NULL;
END
$$;

CREATE TRIGGER training_job_changed AFTER INSERT OR UPDATE OF body OR DELETE ON training_jobs
FOR EACH ROW EXECUTE FUNCTION number_training_job_change();

INSERT INTO training_job_changes (arn, region, name, gone)
SELECT arn, region, name, 0 FROM training_jobs ORDER BY modified, arn;
