"""``harness completion``: what a shell needs to complete commands, flags, keys, tests and models."""

import click

_VARIABLE = "_HARNESS_COMPLETE"
"""By which a shell asks; the name is click's, made of the program's."""
_WHOLE_NODE_IDS = "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}"
"""Bash would take a test's name apart at its colons."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what a shell needs to complete this. That is: commands, flags, keys, tests and models.

    \b
    Example:
      echo 'eval "$(harness completion bash)"' >> ~/.bashrc
      echo 'eval "$(harness completion zsh)"' >> ~/.zshrc
      harness completion fish > ~/.config/fish/completions/harness.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    if shell == "bash":
        click.echo(_WHOLE_NODE_IDS)
    click.echo(made(context.find_root().command, {}, "harness", _VARIABLE).source())
