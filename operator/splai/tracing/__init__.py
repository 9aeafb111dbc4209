"""Traces in OpenTelemetry's form, for whoever asks for them by the standard OTEL_* variables.

Imports nothing of SPLAI; gateway, worker and controller may import it. Nothing else imports `opentelemetry`, and it
does so only once traces are asked for.
"""
