-- The bytes of all files that objects and parts name, each file once, kept with every change:
-- adding them up takes seconds for a million objects.

CREATE TABLE object_space (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO object_space
SELECT 1, coalesce(sum(size), 0)
FROM (SELECT file, size FROM objects UNION SELECT file, size FROM parts);
