"""Five S3 clients, by the names that tests ask them by."""

from tests.s3.libraries import Access, Boto3, Client, Obstore, Refused
from tests.s3.programs import Aws, Rclone, S5cmd

__all__ = ["CLIENTS", "Access", "Aws", "Boto3", "Client", "Obstore", "Rclone", "Refused", "S5cmd"]

CLIENTS = {"boto3": Boto3, "s5cmd": S5cmd, "aws": Aws, "rclone": Rclone, "obstore": Obstore}
