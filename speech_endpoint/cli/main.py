"""The command `speech`."""

from __future__ import annotations

import importlib

import click

from speech_endpoint import __version__

COMMANDS = {
    "transcribe": "Write down who said what, when.",
    "voice": "Print a voiceprint, to know a voice again.",
}
"""Each in a module of its own, imported when it is needed: this help is there at once."""


def spelled_with_dashes(name: str) -> str:
    """An option's name as it is declared here; whisperX spells them with underscores."""
    return name.replace("_", "-")


class LazyGroup(click.Group):
    """A group whose commands are imported one by one."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"speech_endpoint.cli.commands.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": spelled_with_dashes,
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="speech")
def main() -> None:
    """Who said what, when: transcripts with speakers, here or at an endpoint."""


if __name__ == "__main__":
    main()
