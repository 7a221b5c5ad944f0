"""A job's log as GitLab has it: its time stamps for those who measure, and without them for those who read.

A line is "2026-03-01T08:15:30.123456Z 01O text": a time, a stream (00 the runner, 01 the script), O or E, and ' ' or,
when the line goes on where the stream's last one stopped, '+'.
"""

import datetime
import re
from dataclasses import dataclass

HEAD = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z ([0-9a-f]{2}[OE])([ +])")
SECTION = re.compile(r"section_(start|end):\d+:([\w.-]+)(?:\[[^\]]*\])?\r(?:\x1b\[0K)?")
COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")


@dataclass
class Line:
    at: float       # seconds since 1970
    stream: str     # "00O" the runner, "01O" and "01E" the script
    text: str


def lines(trace):
    """The log's lines, those that were cut put together again."""
    found, last = [], {}
    for raw in trace.split("\n"):
        m = HEAD.match(raw)
        if m is None:
            if raw:
                found.append(Line(found[-1].at if found else 0.0, "", raw))
            continue
        text = raw[m.end():]
        if m[3] == "+" and m[2] in last:
            last[m[2]].text += text
            continue
        at = datetime.datetime.fromisoformat(m[1]).replace(tzinfo=datetime.timezone.utc).timestamp()
        last[m[2]] = Line(at, m[2], text)
        found.append(last[m[2]])
    return found


def sections(log):
    """{name: (begin, end)} of the sections of lines(); an end that is not there yet is None."""
    found = {}
    for line in log:
        for m in SECTION.finditer(line.text):
            begin = found.get(m[2], (line.at, None))[0]
            found[m[2]] = (begin, line.at if m[1] == "end" else None)
    return found


def first_word(log, section="step_script"):
    """When the script of a section printed its first line; None when it did not."""
    inside = False
    for line in log:
        for m in SECTION.finditer(line.text):
            if m[2] == section:
                inside = m[1] == "start"
        if inside and line.stream[:2] == "01":
            return line.at
    return None


def readable(log, colours=False):
    """The text of lines(), for people: no times, no section marks, and colours only if wanted."""
    out = []
    for line in log:
        text = SECTION.sub("", line.text)
        text = text if colours else COLOUR.sub("", text)
        text = text.replace("\x1b[0K", "").rstrip("\r")
        # Of a progress bar only what is seen in the end.
        text = text.rpartition("\r")[2]
        if text or not SECTION.search(line.text):
            out.append(text)
    return out
