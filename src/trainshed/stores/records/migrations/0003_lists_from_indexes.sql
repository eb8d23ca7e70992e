-- Every column that a list of jobs filters by stands in each index that orders one, so that the
-- index alone tells which jobs are on a page; the bodies of all others stay unread.

DROP INDEX training_jobs_by_created;
DROP INDEX training_jobs_by_name;
DROP INDEX training_jobs_by_status;
CREATE INDEX training_jobs_by_created ON training_jobs (region, created, name, modified, status);
CREATE INDEX training_jobs_by_name ON training_jobs (region, name, created, modified, status);
CREATE INDEX training_jobs_by_status ON training_jobs (region, status, name, created, modified);
