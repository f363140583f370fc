# Runs inside gdb: writes {lwp: [[pc, offset or null], ...]} of all threads as JSON to the file that
# FRAMES_TO names. offset is that of pc in the symbol around the call (of a frame that a signal
# interrupted: around pc), as `info symbol` has it from the symbol table, null without a symbol.
import json
import os
import re

import gdb


def offset_of(pc, back):
    text = gdb.execute(f"info symbol {pc - back}", to_string=True)
    match = re.match(r"\S+(?: \+ (\d+))? in section ", text)
    return int(match[1] or 0) + back if match else None


def frames_of(thread):
    thread.switch()
    found, below, frame = [], None, gdb.newest_frame()
    while frame is not None:
        if frame.type() != gdb.INLINE_FRAME:
            signal = gdb.SIGTRAMP_FRAME in (frame.type(), below and below.type())
            found.append([frame.pc(), offset_of(frame.pc(), 1 if below and not signal else 0)])
            below = frame
        frame = frame.older()
    return found


with open(os.environ["FRAMES_TO"], "w", encoding="utf-8") as out:
    json.dump({thread.ptid[1]: frames_of(thread) for thread in gdb.selected_inferior().threads()},
              out)
