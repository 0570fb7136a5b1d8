#!/usr/bin/env zsh
# Completes the last word of a command line as zsh does on a terminal, and prints the
# line. Its completions are those of a directory.
#
#     tests/release/complete.zsh DIRECTORY 'presence-gateway call --js'
emulate -L zsh
zmodload zsh/zpty

zpty shell zsh --no-rcs --interactive
send() { zpty -w -n shell "$1" }
send "PS1= fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D
show() { print -r -- \"<<\$BUFFER>>\"; }; zle -N show; bindkey '^X' show; print rea''dy
"
zpty -r -m shell output '*ready*'
send "$2"$'\t\x18'
zpty -r -m shell output '*<<*>>*'
zpty -d shell
print -r -- "${${output##*<<}%%>>*}"
