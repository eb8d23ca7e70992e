-- What lists of jobs are mostly filtered by stands in the index of the usual order, so that the
-- index alone tells which jobs are on a page; the bodies of all others stay unread. Not "modified":
-- it changes with every write, and each would have to change the index too.

DROP INDEX training_jobs_by_created;
CREATE INDEX training_jobs_by_created ON training_jobs (region, created, name, status);
