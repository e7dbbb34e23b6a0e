"""The `vesalius` command without its verbs, and the arguments that several of these take."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Attention mechanisms as typed string diagrams.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: with rich it takes three times as long to appear
    pretty_exceptions_enable=False,
)

Source = Annotated[
    str, typer.Argument(metavar="NAME|FILE.json", help="A mechanism, or a diagram in a file.")
]
Options = Annotated[
    str,
    typer.Option(
        "--with",
        metavar="KEY=VALUE,...",
        help="Options and sizes of a mechanism: --with causal,heads=8,d=512.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _version(wanted: bool) -> None:
    if wanted:
        from vesalius import __version__

        print(f"vesalius {__version__}")
        raise typer.Exit


@app.callback()
def _command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
