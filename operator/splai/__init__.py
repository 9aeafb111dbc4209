"""SPLAI: LLM inference on Kubernetes as two custom resources, one operator and one gateway."""
