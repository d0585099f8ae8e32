"""Completion of `python lakehouse.py …` in bash, zsh and fish, based on click's.

A shell requests the script once and completions at every TAB, both through an environment variable. The
completed command is `python`, so the script completes this lakehouse.py only, by any path to it, and leaves
every other use of python to the shell.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import ClassVar

from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    shell_complete,
    split_arg_string,
)

from runtime.cli.main import COMPLETION
from runtime.cli.program import program

SCRIPT = Path(__file__).resolve().parents[2] / "lakehouse.py"

BASH = """\
_lakehouse_completion() {
    local IFS=$'\\n' item value word kept='' line=${COMP_LINE:0:COMP_POINT}
    local script="${COMP_WORDS[1]/#\\~/$HOME}"
    if [[ $COMP_CWORD -lt 2 || ! $script -ef %(script)s ]]; then
        compopt -o bashdefault -o default
        return
    fi
    COMPREPLY=()
    # Where readline ends words at a =, what stands before it in the word is not replaced.
    word=${line##*[[:space:]]}
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && kept=${word%%=*}=
    for item in $(_LAKEHOUSE_LINE="$line" %(asked)s=bash_complete %(python)s %(script)s 2>/dev/null); do
        value=${item#*,}
        [[ $value == *=* && $kept == *"${value%%%%=*}=" ]] && value=${value#*=}
        case $item in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            *=) compopt -o nospace; COMPREPLY+=("$value") ;;
            *) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F _lakehouse_completion python python3
"""

ZSH = """\
_lakehouse_completion() {
    if (( CURRENT < 3 )) || [[ ! ${words[2]/#\\~/$HOME} -ef %(script)s ]]; then
        if (( $+functions[_python] )); then _python "$@"; else _default "$@"; fi
        return
    fi
    local type value told
    local -a plain open described answer
    answer=("${(@f)$(_LAKEHOUSE_LINE="${(j: :)words[1,CURRENT]}" %(asked)s=zsh_complete \\
        %(python)s %(script)s 2>/dev/null)}")
    [[ $PREFIX == -*=* ]] && compset -P 1 '*='
    for type value told in $answer; do
        case "$type $told" in
            (dir *) _path_files -/ ;;
            (file *) _path_files ;;
            (plain _) [[ $value == *= ]] && open+=("$value") || plain+=("$value") ;;
            (plain *) described+=("$value:$told") ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described
    (( $#plain )) && compadd -V unsorted -a plain
    (( $#open )) && compadd -S '' -V unsorted -a open
}
compdef _lakehouse_completion python python3
"""

FISH = """\
function __lakehouse_completion
    set -l line (commandline -cp | string collect)
    # fish compares a value with the whole word, the option and its = included.
    set -l option (string match -r '^(?:-[^=]*=)?' -- (commandline -ct))
    set -l begun (string replace -r '^-[^=]*=' '' -- (commandline -ct))
    for item in (env _LAKEHOUSE_LINE="$line" %(asked)s=fish_complete %(python)s %(script)s 2>/dev/null)
        set -l parts (string split -m 1 , -- $item)
        switch $parts[1]
            case dir
                for path in (__fish_complete_directories $begun)
                    echo $option$path
                end
            case file
                for path in (__fish_complete_path $begun)
                    echo $option$path
                end
            case plain
                echo $option$parts[2]
        end
    end
end
function __lakehouse_is_meant
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test (realpath -- $words[2] 2>/dev/null)"" = %(script)s
end
for name in python python3
    # What fish completes python with stays for every other line. It is loaded when a line is completed.
    complete -C "$name - " >/dev/null
    set -l own (complete -c $name)
    string match -q '*__lakehouse_is_meant*' -- $own; and continue
    complete -e -c $name
    string replace complete "complete -n 'not __lakehouse_is_meant'" -- $own[-1..1] | source
    complete -c $name -n __lakehouse_is_meant -f -k -a '(__lakehouse_completion)'
end
"""


class _Shell(ShellComplete):
    """The parts common to all shells: names in the script, and the words after `python lakehouse.py`."""

    template: ClassVar[str]

    def source(self) -> str:
        """The script that a shell evaluates. It always starts the current Python interpreter."""
        paths = {"python": shlex.quote(sys.executable), "script": shlex.quote(str(SCRIPT))}
        return self.template % {**paths, "asked": COMPLETION}

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete words, and the one at the cursor, where the line ends."""
        line = os.environ.get("_LAKEHOUSE_LINE", "")
        words = split_arg_string(line)[2:]
        if not words or line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1]


class _Bash(_Shell, BashComplete):
    template = BASH


class _Zsh(_Shell, ZshComplete):
    template = ZSH


class _Fish(_Shell, FishComplete):
    template = FISH


def complete(invocation: str) -> int:
    """Answer a shell: `bash_source` prints its script, `bash_complete` the completions of the line.

    Returns the exit code, 2 for an unknown shell.
    """
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)
    if invocation.partition("_")[0] not in ("bash", "zsh", "fish"):
        sys.stderr.write(
            f"error: {COMPLETION} is bash_source, zsh_source or fish_source, got {invocation!r}.\n"
        )
        return 2
    return shell_complete(program, {}, "python lakehouse.py", COMPLETION, invocation)
