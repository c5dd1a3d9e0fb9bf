"""Draws a run of the demo as a terminal that scrolls: `target/debug/demo --once | python3 docs/pictures/terminal.py > docs/pictures/demo.svg`.

The text is that of the run, line by line, from its first chapter on. Only the pace is chosen, for reading, and lines longer than the
screen are cut with "…". Without animation (or with reduced motion) the picture shows the end of the run.
"""

import itertools
import sys
from xml.sax.saxutils import escape

COLUMNS, ROWS = 126, 30
CHARACTER, LINE, MARGIN = 7.2, 17, 14
PER_LINE, PER_CHAPTER, AT_THE_END = 0.16, 2.2, 6.0  # seconds


def shown(line):
    line = line.rstrip().expandtabs()
    return line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"


def style(line):
    if line[:1].isdigit():
        return "chapter"
    return "command" if line.lstrip().startswith("$ ") else "output"


def timing(lines):
    """The time at which each line is there, and the length of the whole."""
    now, times = 0.5, []
    for number, line in enumerate(lines):
        if style(line) == "chapter" and number:
            now += PER_CHAPTER
        now += PER_LINE
        times.append(now)
    return times, now + AT_THE_END


def picture(lines):
    times, whole = timing(lines)
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, ROWS * LINE + 2 * MARGIN
    shift = lambda count: f"transform:translateY({(ROWS - count) * LINE}px)"
    frames = "".join(f"{100 * at / whole:.2f}%{{{shift(count)}}}" for count, at in enumerate(times, 1))
    text = "".join(
        f'<text class="{style(line)}" y="{number * LINE + 13}">{escape(line)}</text>'
        for number, line in enumerate(lines)
        if line
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width:.0f} {height}" role="img" aria-label="A run of make demo in a terminal">
<style>
text{{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d0d7de;white-space:pre}}
.chapter{{fill:#7ee787;font-weight:bold}}.command{{fill:#79c0ff}}
#all{{animation:run {whole:.1f}s step-end infinite}}
@keyframes run{{0%{{{shift(0)}}}{frames}}}
@media (prefers-reduced-motion:reduce){{#all{{animation:none}}}}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<svg x="{MARGIN}" y="{MARGIN}" width="{COLUMNS * CHARACTER:.0f}" height="{ROWS * LINE}"><g id="all" transform="translate(0,{(ROWS - len(lines)) * LINE})">{text}</g></svg>
</svg>
"""


if __name__ == "__main__":
    run = (shown(line) for line in sys.stdin)
    sys.stdout.write(picture(list(itertools.dropwhile(lambda line: style(line) != "chapter", run))))
