"""The pages of the authorization endpoint: account chooser, permissions, refusals."""

from __future__ import annotations

from html import escape

from sync_service.emulators.google.oauth import ConsentFault, ConsentRequest
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.scopes import PREFIX, is_sign_in
from sync_service.emulators.google.world import World

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:10vh auto;padding:0 1rem}"
    "h1{font-size:1.4rem}label{display:block;padding:.4rem 0}small{color:#555}"
    "button{font:inherit;padding:.5rem 1.2rem;margin-right:.5rem}"
)
_CHOICES = frozenset({"decision", "account", "granted"})


def fault_page(fault: ConsentFault) -> str:
    """Google's own error page."""
    return _page(
        "Access blocked",
        f"<h1>Access blocked: authorization error</h1><p>{escape(fault.detail)}</p>"
        f"<p><small>Error 400: {escape(fault.error)}</small></p>",
    )


def consent_page(world: World, request: ConsentRequest) -> str:
    """The form on which a person picks an account and permissions."""
    hint = (request.query.text("login_hint") or "").casefold()
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in request.query.pairs
    )
    accounts = "".join(
        f'<label><input type="radio" name="account" value="{escape(account.sub)}"'
        f"{' checked' if _is_first(account.email, hint, position) else ''}> "
        f"{escape(account.name)} <small>{escape(account.email)}</small></label>"
        for position, account in enumerate(world.state.accounts.values())
    )
    scopes = "".join(
        f'<label><input type="checkbox" name="granted" value="{escape(scope)}" checked> '
        f"{escape(scope.removeprefix(PREFIX))}</label>"
        for scope in request.scopes
        if not is_sign_in(scope)
    )
    return _page(
        "Choose an account",
        f"<h1>{escape(request.client.name)} wants access to your Google Account</h1>"
        f'<form method="post" action="/o/oauth2/v2/auth">{hidden}'
        f"<fieldset><legend>Account</legend>{accounts}</fieldset>"
        f"<fieldset><legend>Permissions</legend>{scopes}</fieldset><p>"
        '<button name="decision" value="allow">Continue</button>'
        '<button name="decision" value="deny">Deny</button></p></form>',
    )


def without_choices(form: Query) -> Query:
    """The original request inside a posted form."""
    return Query([pair for pair in form.pairs if pair[0] not in _CHOICES])


def _is_first(email: str, hint: str, position: int) -> bool:
    return email.casefold() == hint if hint else position == 0


def _page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><main>{content}</main></html>"
    )
