"""OpenAPI schemas of manifests, as a Kubernetes API server wants them (structural, v1)."""
