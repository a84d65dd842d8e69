#!/usr/bin/env python3
"""What the pages say to type.

    commands.py ROOT PAGE...: every command of ours in the pages' indented and fenced blocks, one
    per line with its page: "docs/howto.md<TAB>lca-check --in run.lca". Words are kept as they are,
    redirections and what comes after | or & are cut off; lines continued by \\ are joined.

    commands.py --script PAGE: the blocks that have such a command, or another that works on what
    they leave, whole, as a script."""
import re
import shlex
import sys

OTHERS = re.compile(r'^(jq|cmp|cp|cat|curl|for) ')
OURS = re.compile(r'^(?:\S*/)?(lca-[a-z]+|pipelines/(slurm/)?[a-z0-9-]+\.sh|tests/[a-z]+/[a-z-]+\.(sh|py))$')


def blocks(text):
    fenced, out = None, []
    for line in text.split('\n'):
        if line.startswith('```'):
            fenced = line[3:] or 'text' if fenced is None else None
        elif fenced in ('sh', 'bash', 'text', 'console'):
            out.append(line)
        elif fenced is None and line.startswith('    '):
            out.append(line[4:])
        else:
            out.append('')
    return re.sub(r'\\\n\s*', ' ', '\n'.join(out)).split('\n')


def simple(line):
    """The simple commands of a line of shell, as words."""
    line = re.sub(r'^[a-z0-9*]+\$ |^[A-Za-z0-9_*-]+:  +', '', line)      # prompts; stages of a file
    lexer = shlex.shlex(line, posix=True, punctuation_chars='|&;<>()')
    lexer.whitespace_split = True
    words, command = [], []
    try:
        for word in lexer:
            if set(word) <= set('|&;()'):
                words.append(command)
                command = []
            else:
                command.append(word)
    except ValueError:
        return []               # no shell: a sentence with an apostrophe, say
    words.append(command)
    for command in words:
        cut = next((k for k, w in enumerate(command) if set(w) <= set('<>')), len(command))
        while command and re.match(r'^([A-Za-z_]+=|sudo$|time$|env$|nice$|do$|then$|if$|!$)', command[0]):
            command, cut = command[1:], cut - 1
        yield command[:max(cut, 0)]


def ours(line):
    return [c for c in simple(line) if c and OURS.match(c[0]) and '...' not in c]


if sys.argv[1] == '--script':
    for block in re.split(r'\n\n+', '\n'.join(blocks(open(sys.argv[2]).read()))):
        if any(ours(line) or OTHERS.match(line) for line in block.split('\n')):
            print(block)
else:
    for page in sys.argv[2:]:
        for line in blocks(open(sys.argv[1] + '/' + page).read()):
            for command in ours(line):
                print(page + '\t' + ' '.join(shlex.quote(w) for w in command))
