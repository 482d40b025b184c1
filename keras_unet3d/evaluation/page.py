"""One HTML file that holds everything it shows: it opens offline, for years, and reaches for nothing."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from keras_unet3d.evaluation.html import Html, asset, element, joined
from keras_unet3d.volumes.whole_file import written_whole


@dataclass(frozen=True)
class Section:
    """A part of a page, with an entry in its contents.

    Attributes:
        heading: its title.
        parts: shown below each other; what is not `Html` is a paragraph of text.
    """

    heading: str
    parts: Sequence[str]


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: of the page.
        lead: what it says first.
        sections: below that.
        footer: its last line.
        volume_view: whether it has a 3D view, which brings NiiVue.
    """

    title: str
    lead: Sequence[str]
    sections: Sequence[Section]
    footer: str = ""
    volume_view: bool = False

    @property
    def html(self) -> str:
        """The whole file.

        Its policy (Content-Security-Policy) allows the scripts that are written here, by their hashes, and pictures
        that lie in the page: a name that slipped through as a script would not run, and nothing is loaded.
        """
        scripts = [asset("page.js")]
        if self.volume_view:
            scripts = [_niivue(), asset("volume_view.js"), *scripts]
        policy = (
            "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
            f"script-src {' '.join(map(_hash, scripts))}; base-uri 'none'; form-action 'none'"
        )
        head = [
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="generator", content="keras-unet3d"),
            element("title", self.title),
            element("style", Html(asset("page.css"))),
        ]
        body = [
            element("header", element("h1", self.title), *map(_part, self.lead)),
            self._contents,
            element("main", *(self._section(number, each) for number, each in enumerate(self.sections, 1))),
            element("footer", self.footer),
            *(element("script", Html(script)) for script in scripts),
        ]
        page = element("html", element("head", *head), element("body", *body), lang="en")
        return f"<!doctype html>\n{page}\n"

    @property
    def _contents(self) -> Html:
        links = [element("a", each.heading, href=f"#s{number}") for number, each in enumerate(self.sections, 1)]
        return element("nav", *links, aria_label="Contents") if len(links) > 1 else Html()

    @staticmethod
    def _section(number: int, section: Section) -> Html:
        heading = element("h2", section.heading, id=f"s{number}-heading")
        return element(
            "section", heading, *map(_part, section.parts), id=f"s{number}", aria_labelledby=f"s{number}-heading"
        )


def write_page(path: str | os.PathLike[str], page: Page) -> None:
    """Write a page, whole or not at all.

    Raises:
        InputError: if the folder is missing or cannot be written to.
        WorkError: if writing fails.
    """
    with written_whole(path) as unfinished:
        unfinished.write_text(page.html, encoding="utf-8")


def _part(part: str) -> Html:
    return part if isinstance(part, Html) else element("p", part)


def _niivue() -> str:
    """NiiVue, below its licence, which asks to be kept."""
    return (
        f"/*!\nNiiVue 0.69.0, https://github.com/niivue/niivue\n{asset('niivue.LICENSE')}*/\n{asset('niivue.umd.js')}"
    )


def _hash(script: str) -> str:
    """A script as a policy allows it."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def cards(facts: Sequence[tuple[str, str, str]]) -> Html:
    """Figures to see first: the name of each, the figure, and a few words about it."""
    return element(
        "div",
        *(
            element(
                "div",
                element("span", name, class_="name"),
                element("strong", figure),
                element("span", words, class_="words"),
                class_="card",
            )
            for name, figure, words in facts
        ),
        class_="cards",
    )


def facts_list(facts: Sequence[tuple[str, str]]) -> Html:
    """Names and what is to be said of each."""
    return element("dl", *(joined([element("dt", name), element("dd", text)]) for name, text in facts))


def folded(summary: str, *parts: str) -> Html:
    """Parts that show when they are asked for, and in print."""
    return element("details", element("summary", summary), *map(_part, parts))
