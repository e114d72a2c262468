"""Who may see the status page, and what a browser may do with it."""

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ttp_token"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Stands before the app.

    Without a token only requests to a loopback name get through: a page elsewhere whose name is pointed here is not
    one. With a token each request must bring it, as a cookie, as a bearer token, or once in the address. Whatever
    changes something must come from the page itself (Origin).
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        brought = query.get("token", [""])[0]
        refusal = self._refusal(scope["method"], headers, brought)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out[name] = value
                if self._token and brought and not refusal:
                    out["Set-Cookie"] = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            await send(message)

        if refusal:
            await PlainTextResponse(f"{refusal[1]}\n", refusal[0])(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers, brought: str) -> tuple[int, str] | None:
        """Status and reason, or None."""
        host = headers.get("host", "")
        if self._token is None:
            if urlsplit(f"//{host}").hostname not in LOOPBACK:
                return 421, "This page is for this machine only: open it as localhost, or give `ttp ui` a --token."
        elif not any(_same(self._token, given) for given in (brought, _cookie(headers), _bearer(headers))):
            return 401, "Wrong token, or none: open the address that `ttp ui` printed."
        if method not in ("GET", "HEAD") and urlsplit(headers.get("origin", "")).netloc != host:
            return 403, "Only the page itself may do this (Origin)."
        return None


def _same(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode(), given.encode("utf-8", "surrogateescape"))


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _bearer(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value if scheme.lower() == "bearer" else ""
