"""CloudWatch Logs, as far as clients of training jobs use it."""
