"""Kubernetes objects <-> API calls: sagemaker.aws.amazon.com/v1 manifests, and kubectl-smlogs."""
