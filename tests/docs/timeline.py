"""The drawing of which day does what, from the plan that the code makes for a run."""

from datetime import timedelta
from html import escape

from ctr_retrain.models.data.days import DayPlan, day_range

DAY_WIDTH, LEFT, TOP, LANE, BAR = 42, 170, 66, 44, 26
LETTER = 7  # wide, about
INK, GRID, PAPER = "#1f2933", "#d5dbe1", "#ffffff"


def draw(plan: DayPlan) -> str:
    """The plan's days as an SVG: a column for each day from the training window's first to the run day."""
    immature = day_range(plan.validate[-1] + timedelta(days=1), plan.day)
    lanes = (
        ("training window", "#4c78a8", plan.train, f"{len(plan.train)} days that end at the cut; labels are mature"),
        ("calibration slice", "#72b7b2", plan.calibrate, "a share of each day's users, kept out of training"),
        ("validation days", "#f2a541", plan.validate, "the gate"),
        ("immature labels", "#c9ced6", immature, f"label maturity: {plan.maturity_days} days"),
        ("fresh pass", "#9d7bb8", plan.fresh, 'with ship = "fresh", after promote'),
    )
    days = plan.all_days
    bottom, right = TOP + LANE * len(lanes), LEFT + DAY_WIDTH * len(days)
    size = f'width="{right + 16}" height="{bottom + 52}"'
    frame = f'viewBox="0 0 {right + 16} {bottom + 52}" font-family="sans-serif" fill="{INK}" role="img"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {frame}>',
        f"<title>Which day does what in the run for {plan.day}</title>",
        f'<rect {size} fill="{PAPER}"/>',
        _text(16, 24, f"Run for {plan.day}"),
    ]
    for number, day in enumerate(days):
        x = LEFT + number * DAY_WIDTH
        parts += [
            f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{bottom}" stroke="{GRID}"/>',
            _text(x + DAY_WIDTH / 2, TOP - 30, f"{day:%a}", anchor="middle", size=11),
            _text(x + DAY_WIDTH / 2, TOP - 14, f"{day.day} {day:%b}", anchor="middle", size=11),
        ]
    for lane, (name, color, covered, note) in enumerate(lanes):
        left, y = LEFT + days.index(covered[0]) * DAY_WIDTH, TOP + lane * LANE
        parts += [_text(16, y + 18, name), *_bar(left, y, DAY_WIDTH * len(covered), color, note)]
    cut = LEFT + DAY_WIDTH * len(plan.train)
    parts += _mark(cut, f"cut: the end of {plan.cut.day} {plan.cut:%b}", bottom, anchor="middle")
    parts += _mark(right, f"the run, after {plan.day.day} {plan.day:%b}", bottom, anchor="end")
    return "\n".join([*parts, "</svg>", ""])


def _bar(x: int, y: int, width: int, color: str, note: str) -> list[str]:
    """A lane's days, with a note in them or, where it has no room there, before them over the grid's lines."""
    bar = f'<rect x="{x}" y="{y}" width="{width}" height="{BAR}" rx="3" fill="{color}"/>'
    room = LETTER * len(note)
    if width > room:
        return [bar, _text(x + width / 2, y + 18, note, anchor="middle", size=12, fill=PAPER)]
    blank = f'<rect x="{x - 10 - room}" y="{y + 3}" width="{room}" height="20" fill="{PAPER}"/>'
    return [bar, blank, _text(x - 6, y + 18, note, anchor="end", size=12)]


def _mark(x: int, words: str, bottom: int, anchor: str) -> list[str]:
    line = f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{bottom + 14}" stroke="{INK}" stroke-dasharray="4 3"/>'
    return [line, _text(x, bottom + 32, words, anchor=anchor, size=12)]


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 13, fill: str = INK) -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" fill="{fill}">{escape(words)}</text>'
