# Runs inside gdb: writes {lwp: [[pc, function or null], ...]} of all threads as JSON to the file
# that FRAMES_TO names, as `thread apply all bt` shows them. bt leaves out the pc of a frame that
# stands at the first instruction of a line, so that its text would compare less.
import json
import os

import gdb

FRAMES_MAX = 200


def frames_of(thread):
    thread.switch()
    found = []
    frame = gdb.newest_frame()
    try:
        while frame is not None and len(found) < FRAMES_MAX:
            found.append([hex(frame.pc()), frame.name()])
            frame = frame.older()
    except gdb.error as error:
        found.append(["error", str(error)])
    return found


with open(os.environ["FRAMES_TO"], "w", encoding="utf-8") as out:
    json.dump({thread.ptid[1]: frames_of(thread) for thread in gdb.selected_inferior().threads()},
              out)
