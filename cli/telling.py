"""Errors as lines on stderr."""

import click


def tell(error: BaseException, sentence: str) -> None:
    """Say what went wrong, and what the error was noted to leave, such as work that can be continued."""
    click.echo(sentence, err=True)
    for note in getattr(error, "__notes__", ()):
        click.echo(note, err=True)
