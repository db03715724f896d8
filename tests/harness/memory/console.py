"""Browsers on the console of an API in memory: signed in, without script, as people of every role."""

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import httpx

from tests.harness.memory.web import PATIENCE_SECONDS, WebHarness

_VOID = {"meta", "input", "br", "link", "img", "hr", "rect"}


class Outline(HTMLParser):
    """What a page is made of; a tag that is not closed, or closed twice, is refused."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.forms: list[dict[str, str]] = []
        """Address under ``, and the hidden inputs by name."""
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in given.items()]
        if tag == "form":
            self.forms.append({"": given.get("action", "")})
        if tag == "input" and given.get("type") == "hidden":
            self.forms[-1][given["name"]] = given["value"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that the tag was open."""
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [value for _tag, found, value in self.attributes if found == name]

    @property
    def words(self) -> str:
        """What a person reads."""
        return re.sub(r"\s+", " ", " ".join(self.texts))


@dataclass
class Browser:
    """One person's browser."""

    http: httpx.Client

    def sign_in(self, token: str, going: str = "/console/") -> httpx.Response:
        """Send the sign-in form."""
        return self.http.post("/console/sign-in", data={"token": token, "next": going})

    def get(self, path: str, **params: Any) -> httpx.Response:
        """Open a page."""
        return self.http.get(path, params=params or None)

    def page(self, path: str, **params: Any) -> Outline:
        """Open a page that has to be there."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return Outline(answer.text)

    def form(self, path: str, name: str) -> dict[str, str]:
        """The hidden inputs of the form `name` on a page, with its address under ``."""
        return next(form for form in self.page(path).forms if form[""].endswith(f"/{name}"))

    def send(self, form: Mapping[str, str], **entered: Any) -> httpx.Response:
        """Send a form with what is entered."""
        rest = {name: value for name, value in form.items() if name}
        return self.http.post(form[""], data={**rest, **entered})

    def do(self, path: str, name: str, **entered: Any) -> httpx.Response:
        """Open a page, fill in a form and send it."""
        return self.send(self.form(path, name), **entered)


@contextmanager
def browser(harness: WebHarness, who: str = "", lang: str = "en") -> Iterator[Browser]:
    """A browser in which `who` is signed in; nobody when it is left out."""
    headers = {"Accept-Language": lang, "Origin": harness.url}
    patient: dict[str, Any] = {"trust_env": False, "timeout": PATIENCE_SECONDS}
    with httpx.Client(base_url=harness.url, headers=headers, follow_redirects=True, **patient) as http:
        found = Browser(http)
        if who:
            harness.as_(who)
            assert found.sign_in(harness.tokens[who]).status_code == 200
        yield found


def escaped(text: str) -> str:
    """A text as it may stand on a page."""
    return html.escape(text)
