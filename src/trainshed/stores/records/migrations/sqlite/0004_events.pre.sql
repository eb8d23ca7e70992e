-- What happens to objects is told to those who asked: who asked, and what is still to be told.

CREATE TABLE notifications (
    bucket TEXT PRIMARY KEY REFERENCES buckets (name) ON DELETE CASCADE,
    -- list of subscriptions as JSON: id, webhook, events, prefix, suffix
    subscriptions BLOB NOT NULL,
    -- the bucket's NotificationConfiguration as it was put, as JSON
    configuration BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    -- in the order of the changes; AUTOINCREMENT, so that no number is given twice
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL,
    -- when it may be told next; seconds since the epoch
    due REAL NOT NULL,
    -- how often telling it failed
    tries INTEGER NOT NULL,
    -- what happened, as JSON
    body BLOB NOT NULL
) STRICT;

CREATE INDEX events_by_webhook ON events (webhook, due, n);
