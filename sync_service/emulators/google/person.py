"""A person at Google's own interface: everything takes effect, nothing needs a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sync_service.emulators.google import calendars, events, following, oauth, transfers
from sync_service.emulators.google.render import View, Viewer, render
from sync_service.emulators.google.resource import WriteOptions
from sync_service.emulators.google.state import Account, Entry, Json
from sync_service.emulators.google.times import known_zone
from sync_service.emulators.google.world import Actor, World

_OPTIONS = WriteOptions(conference=True, attachments=True, interface=True)


class Person:
    """Acts as one account would in the calendar's web page.

    Every method takes full effect before it returns, and sends the push messages it gives rise to.
    """

    def __init__(self, world: World, account: Account, commit: Callable[[], None]) -> None:
        self._world = world
        self._account = account
        self._actor = Actor(account.sub, account.email)
        self._commit = commit

    def insert(self, event: Json, calendar: str = "primary") -> Json:
        """Make an event; zero-length ones are possible here."""
        view = events.insert(self._world, self._actor, calendar, event, _OPTIONS)
        return self._done(view, calendar)

    def patch(self, event_id: str, changes: Json, calendar: str = "primary") -> Json:
        """Edit an event, a series, or one occurrence."""
        view = events.patch(self._world, self._actor, calendar, event_id, changes, _OPTIONS)
        return self._done(view, calendar)

    def delete(self, event_id: str, calendar: str = "primary") -> None:
        """Delete an event, a series, or one occurrence."""
        events.delete(self._world, self._actor, calendar, event_id)
        self._commit()

    def move(self, event_id: str, destination: str, calendar: str = "primary") -> Json:
        """Move an event to another calendar."""
        view = transfers.move(self._world, self._actor, calendar, event_id, destination)
        return self._done(view, destination)

    def split(self, event_id: str, changes: Json, calendar: str = "primary") -> Json:
        """Edit "this and following": end the series before an occurrence, begin another there.

        On the first occurrence, edit the series. Returns the series that goes on.
        """
        return list(self.splitting(event_id, changes, calendar))[-1]

    def splitting(
        self,
        event_id: str,
        changes: Json,
        calendar: str = "primary",
        *,
        new_first: bool = False,
    ) -> Iterator[Json]:
        """The same, one half at a time, so that a reader can come in between."""
        views = following.split(
            self._world,
            self._actor,
            calendar,
            event_id,
            changes,
            _OPTIONS,
            new_first=new_first,
        )
        for view in views:
            yield self._done(view, calendar)

    def delete_following(self, event_id: str, calendar: str = "primary") -> None:
        """Delete "this and following"; on the first occurrence, the series."""
        following.delete(self._world, self._actor, calendar, event_id, _OPTIONS)
        self._commit()

    def respond(self, event_id: str, response: str, calendar: str = "primary") -> Json:
        """Answer an invitation."""
        reply = {"email": self._account.email, "responseStatus": response}
        changes: Json = {"attendeesOmitted": True, "attendees": [reply]}
        return self.patch(event_id, changes, calendar)

    def get(self, event_id: str, calendar: str = "primary") -> Json:
        """An event as this person sees it."""
        found, _ = self._world.readable(self._actor, calendar)
        return self._resource(events.get(self._world, found, event_id), calendar)

    def entry(self, calendar: str, **changes: object) -> Json:
        """Change one's own entry of the calendar list (hidden, selected, summary_override …)."""
        found, _ = self._world.readable(self._actor, calendar)
        now = self._world.stamp()
        entry = self._account.entries.setdefault(found.id, Entry(found.id, now, now))
        for name, value in changes.items():
            if name not in Entry.__struct_fields__:
                raise AttributeError(name)
            setattr(entry, name, value)
        entry.revision = entry.feed = now
        self._world.list_changed(self._account)
        self._commit()
        return calendars.entry_resource(self._world, self._actor, entry)

    def revoke(self, client_id: str) -> None:
        """Remove an app from the account."""
        oauth.end_grant(self._world, self._account.sub, client_id)

    def _done(self, view: View, calendar: str) -> Json:
        self._commit()
        return self._resource(view, calendar)

    def _resource(self, view: View, calendar: str) -> Json:
        found, role = self._world.readable(self._actor, calendar)
        in_zone = known_zone(found.time_zone)
        viewer = Viewer(found, self._account.email, role, in_zone, self._world.switches)
        return render(view, viewer)
