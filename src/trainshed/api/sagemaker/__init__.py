"""The operations of the SageMaker service."""
