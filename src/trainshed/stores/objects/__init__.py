"""Bytes under s3:// and file:// addresses."""
