"""Google Calendar: requests built by Google's own client library, sent with httpx."""

from sync_service.providers.google.provider import GoogleProvider

__all__ = ["GoogleProvider"]
