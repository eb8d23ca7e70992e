"""The operations of AWS IAM that SageMaker clients call."""
