"""The operations of AWS STS that SageMaker clients call."""
