"""Completion of commands, options and their values in a shell: completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, get_args

import tyro
from tyro.conf import Positional

from resnext.cli.known import Known, known_of
from resnext.recipes.names import NAMES
from resnext.variants.names import list_variants

Shell = Literal["bash", "zsh"]
# A word after an option that is none of these, such as a path, is completed by the shell itself.
BASH = """_resnext() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} place=$((COMP_CWORD - 1)) choices=
  # bash makes three words of --option=value
  if [[ $word == "=" ]]; then word=; elif [[ ${{COMP_WORDS[place]}} == "=" ]]; then place=$((place - 1)); fi
  local last=$place
  while [[ $last -gt 1 && ${{COMP_WORDS[last]}} != -* ]]; do last=$((last - 1)); done
  [[ " {many} " == *" ${{COMP_WORDS[last]}} "* ]] && place=$last
  case "${{COMP_WORDS[1]}} ${{COMP_WORDS[place]}}" in
{values}
  esac
  if [[ $word == -* ]]; then case ${{COMP_WORDS[1]}} in
{options}
  esac; fi
  [[ $COMP_CWORD == 1 ]] && choices="{commands} --help --version"
  COMPREPLY=($(compgen -W "$choices" -- "$word"))
}}
complete -o default -F _resnext resnext
"""
ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def completion_command(available: Mapping[str, Callable[..., None]]) -> Callable[..., None]:
    """Return the command `completion`, which knows the other commands."""

    def completion(shell: Annotated[Positional[Shell], tyro.conf.arg(metavar="bash|zsh")] = "bash") -> None:
        """Print a script that completes commands, options and values: source <(resnext completion bash).

        Args:
            shell: shell to complete in.
        """
        known = [known_of(name, function) for name, function in available.items()]
        known.append(Known("completion", choices={"completion": get_args(Shell)}))
        print((ZSH if shell == "zsh" else "") + script(known), end="")

    return completion


def script(commands: Sequence[Known]) -> str:
    """Return a script for bash that completes these commands, their options, and the values of these."""
    variants = list_variants()
    named = {"--recipe": NAMES, "--variant": variants, "info": variants}
    values, options, many = [], [], set()
    for known in commands:
        choices = {name: each for name, each in named.items() if name in (*known.options, known.command)}
        for before, each in {**known.choices, **choices}.items():
            values.append(f'    "{known.command} {before}") choices="{" ".join(each)}" ;;')
        options.append(f'    {known.command}) choices="{" ".join(known.options)}" ;;')
        many |= {option for option, count in known.options.items() if count == "*"}
    return BASH.format(
        values="\n".join(values),
        options="\n".join(options),
        many=" ".join(sorted(many)),
        commands=" ".join(known.command for known in commands),
    )
