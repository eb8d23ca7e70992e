"""S3: what each operation on buckets and objects means."""
