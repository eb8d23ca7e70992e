-- Buckets, objects and unfinished multipart uploads. The bytes are files named by "file".

CREATE TABLE buckets (
    name TEXT PRIMARY KEY,
    region TEXT NOT NULL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE objects (
    bucket TEXT NOT NULL,
    -- UTF-8; a BLOB, so that order and prefixes go by bytes
    key BLOB NOT NULL,
    -- several objects may name one file: a copy copies no bytes
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified REAL NOT NULL,
    storage_class TEXT NOT NULL,
    -- headers, user metadata, checksums, tags as JSON
    attributes BLOB NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX objects_by_file ON objects (file);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    started REAL NOT NULL,
    -- "" or the checksum that each part carries
    checksum TEXT NOT NULL,
    -- what the finished object will carry, as JSON
    attributes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX uploads_by_key ON uploads (bucket, key, id);

CREATE TABLE parts (
    upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified REAL NOT NULL,
    -- base64 by algorithm, as JSON
    checksums BLOB NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX parts_by_file ON parts (file);
