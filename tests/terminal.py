#!/usr/bin/python3
"""A terminal for a program, and what stands on its screen.

    terminal.py ROWS COLUMNS STEP... -- COMMAND...

Runs COMMAND with a terminal of that size and goes through the steps, each with all the time
that it needs:
    wait:TEXT      until TEXT stands on the screen
    key:KEYS       types
    size:R,C       another size of the window
    kill:NAME      a signal to COMMAND
    run:SHELL      runs a shell command
    save:FILE      writes the screen, lines without blanks at their ends, to FILE
    raw:FILE       writes all that has been written to the terminal so far
Then it waits for COMMAND's end, writes what is on the main screen to stdout and ends with its
status. Status 99: the terminal was not left as it was found (another screen, no cursor, no
echo); 98: the screen was written to beyond its edge."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios

SEQUENCE = re.compile(rb'\x1b\[(\??)([0-9;]*)([A-Za-z])|\r|\n|[\x20-\x7e]')


class Screen:
    def __init__(self, rows, columns):
        self.main, self.other, self.cursor = True, {}, True
        self.cells, self.row, self.column = {}, 0, 0
        self.rows, self.columns, self.rest, self.beyond = rows, columns, b'', False

    def feed(self, data):
        data, at = self.rest + data, 0
        while at < len(data):
            m = SEQUENCE.match(data, at)
            if not m:
                break
            at = m.end()
            self.one(m)
        self.rest = data[at:]

    def one(self, m):
        text = m.group(0)
        if text == b'\r':
            self.column = 0
        elif text == b'\n':
            self.row += 1
            if self.row >= self.rows and self.main:
                self.cells = {(r - 1, c): v for (r, c), v in self.cells.items()}
                self.row -= 1
            self.beyond |= self.row >= self.rows
        elif len(text) == 1:
            self.beyond |= self.column >= self.columns
            self.cells[self.row, self.column] = text.decode()
            self.column += 1
        else:
            self.control(m.group(1), m.group(2), m.group(3))

    def control(self, private, numbers, letter):
        here = (self.row, self.column)
        if letter == b'H':
            self.row = self.column = 0
        elif letter == b'K':
            self.cells = {k: v for k, v in self.cells.items() if k[0] != here[0] or k[1] < here[1]}
        elif letter == b'J':
            self.cells = {k: v for k, v in self.cells.items() if k < here}
        elif private and numbers == b'25':
            self.cursor = letter == b'h'
        elif private and numbers == b'1049':
            if self.main == (letter == b'h'):
                self.cells, self.other = self.other, self.cells
            self.main = letter == b'l'
            if not self.main:
                self.cells = {}
        elif letter != b'm':
            raise ValueError('what is %r?' % (letter,))

    def text(self):
        lines = []
        for r in range(max([k[0] for k in self.cells], default=-1) + 1):
            width = max([k[1] for k in self.cells if k[0] == r], default=-1) + 1
            lines.append(''.join(self.cells.get((r, c), ' ') for c in range(width)).rstrip())
        return '\n'.join(lines) + '\n'


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


def main(args):
    rows, columns = int(args[0]), int(args[1])
    steps, command = args[2:args.index('--')], args[args.index('--') + 1:]
    screen = Screen(rows, columns)
    pid, fd = pty.fork()
    if pid == 0:
        resize(0, rows, columns)
        os.execvp(command[0], command)
    before = None
    raw = b''

    def read():
        nonlocal before, raw
        if before is None:
            before = termios.tcgetattr(fd)
        if not select.select([fd], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(fd, 65536)
        except OSError:
            return False
        raw += data
        screen.feed(data)
        return bool(data)

    for step in steps:
        what, _, value = step.partition(':')
        if what == 'wait':
            while value not in screen.text():
                if not read():
                    sys.exit('the program has ended; on its screen:\n' + screen.text())
        elif what == 'key':
            os.write(fd, value.encode())
        elif what == 'size':
            rows, columns = map(int, value.split(','))
            # what is under way is still of the size before
            screen.rows, screen.columns = max(rows, screen.rows), max(columns, screen.columns)
            resize(fd, rows, columns)
        elif what == 'kill':
            os.kill(pid, getattr(signal, 'SIG' + value))
        elif what == 'run':
            subprocess.run(value, shell=True, check=True)
        elif what == 'save':
            open(value, 'w').write(screen.text())
        elif what == 'raw':
            open(value, 'wb').write(raw)
    after = before
    while read():
        after = termios.tcgetattr(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.stdout.write(screen.text())
    if not screen.main or not screen.cursor or after[3] != before[3]:
        status = 99
    sys.exit(98 if screen.beyond else status)


main(sys.argv[1:])
