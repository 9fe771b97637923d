"""Stops letting clients in without sending away who is at the door already."""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
import sys

_SO_ATTACH_FILTER = 26
_TCP_FLAGS, _SYN_AND_ACK, _SYN = 13, 0x12, 0x02
# Classic BPF on the TCP header: a segment that opens a connection is dropped, any other is let through.
_DROP_OPENING_SEGMENTS = (
    (0x30, 0, 0, _TCP_FLAGS),
    (0x54, 0, 0, _SYN_AND_ACK),
    (0x15, 0, 1, _SYN),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFF),
)
_log = logging.getLogger(__name__)


def open_no_connection(listener: socket.socket) -> None:
    """Let no connection begin; those whose handshake has begun can still be accepted.

    A socket that is simply closed resets the connections that came between the last one accepted and the closing.
    Whoever knocks meanwhile is not answered, knocks again a second later, and is refused then. Only Linux can do
    that, and some kernels let only administrators do it; elsewhere nothing happens, and that gap stays.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_OPENING_SEGMENTS)
    held = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("HP", len(_DROP_OPENING_SEGMENTS), ctypes.addressof(held))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except PermissionError as error:
        _log.info("a connection that begins as the service ends may be reset: no filter is allowed (%s)", error)
