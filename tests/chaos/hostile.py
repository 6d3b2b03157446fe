"""Hostile rows, from a seeded generator."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from tables import NOW, App, event

PIECES = (
    "app_opened", "session_submitted", "overall", "null", "__proto__", "constructor", "0", "-0",
    "1e400", "5e99999", "NaN", "Infinity", "true", "{{ 1/0 }}", "{% raw %}", "{% endraw %}", "{#",
    "{{ env_var('PGPASSWORD') }}", "'", "''", '"', '"";', "`", "\\", "\\\\", "\\u0000", "\\n",
    "'; drop table event_logs; --", "/*", "--", "$$", "$1", "%", "%s", "%(x)s", "%25", "%3A", ":",
    "::text", "~", "=1+1", "@x", "-2", "\t", "\n", "\r\n", "\x01", "\x1f", "\x7f", "\x85",
    "\u2028", "\u202e", "\ufeff", "\uffff", "\U0010ffff", "e\u0301", "é", "ß", "İ", "ﬁ", "Z̷͖a̷l",
    "日本", "🏋️‍♀️", " ", "",
)  # fmt: skip
MOMENTS = (
    "infinity", "-infinity", "0001-01-02", "9999-12-31 23:59:59.999", "1969-12-31 23:59:59.999",
    NOW, NOW + timedelta(minutes=5), NOW - timedelta(days=180),
)  # fmt: skip
# Python has no such years, and the oracle takes them for infinite.
FAR = ("294276-12-31 23:59:59.999", "4713-01-01 BC")
JOURNEY = ("app_opened", "workout_started", "exercise_logged", "session_submitted")
STATUSES = ("RUNNING", "RUNNING", "PAUSED", "ENDED", "DRAFT", "running", "", "{{ x }}")


class Hostile:
    """Generates values; the same seed gives the same ones."""

    def __init__(self, seed: int):
        self.random = Random(seed)
        self.users = [self.text() for _ in range(40)]
        self.ids = list(dict.fromkeys(["x", *(self.text(longest=4_000) for _ in range(12))]))

    def text(self, longest: int = 20_000) -> str:
        text = "".join(self.random.choices(PIECES, k=self.random.randint(0, 4)))
        if self.random.random() < 0.15:
            wanted = self.random.choice((199, 200, 201, 245, 1_200, 1_201, 2_690, longest))
            text = (text or "x") + "".join(chr(self.random.randint(33, 126)) for _ in range(wanted))
            text = text[: min(wanted, longest)]
        return text

    def json(self, depth: int = 0) -> Any:
        """JSON of any shape, biased to what an experiment_map may hold."""
        kind = self.random.randrange(9 if depth < 3 else 6)
        if kind < 6:
            scalars = (
                None,
                self.random.random() < 0.5,
                self.text(300),
                self.random.choice("AB"),
                self.random.choice((0, -1, 10**400, 2**63)),
                self.random.uniform(-9, 9),
            )
            return scalars[kind]  # fmt: skip
        if kind == 6:
            return [self.json(depth + 1) for _ in range(self.random.randint(0, 3))]
        keys = [self.random.choice([*self.ids, "x", self.text(300)]) for _ in range(3)]
        return {key: self.json(depth + 1) for key in keys}

    def moment(self, *more: Any) -> Any:
        if self.random.random() < 0.1:
            return self.random.choice((*MOMENTS, *more))
        ago = timedelta(milliseconds=round(self.random.expovariate(1 / 6e8)))
        return NOW + timedelta(minutes=9) - ago

    def event(self) -> dict[str, Any]:
        name = self.random.choice((*JOURNEY, self.text(), None))
        user = self.random.choice((*self.users, None))
        mapping = self.json() if self.random.random() < 0.5 else {"x": self.random.choice("AB")}
        if self.random.random() < 0.1:
            mapping = None
        values = [self.random.choice((*self.ids, self.text(300), None)) for _ in range(2)]
        at, received = self.moment(*FAR, None), self.moment()
        return event(at, name, user, received=received, mapping=mapping,
                     platform=values[0], version=values[1])  # fmt: skip

    def fill(self, source: App, events: int) -> None:
        """Write rows into tables whose columns may be null and have no keys."""
        source.events(*(self.event() for _ in range(events)))
        for name in self.ids:
            if self.random.random() < 0.1:
                continue  # the experiment was deleted, what refers to it was not
            end_at = self.random.choice(
                (self.moment(*FAR), "infinity", datetime(2026, 11, 12), None)
            )
            variants = {"A", *self.random.sample([*self.ids, "B", None], k=3)}
            source.experiment(
                name,
                sorted(variants, key=str),
                status=self.random.choice((*STATUSES, None)),
                start_at=self.moment(*FAR, None),
                end_at=end_at,
                weight=self.random.choice((0.5, 1 / 3, -1, 1e308, float("inf"), float("nan"))),
            )
        for user in (*dict.fromkeys(self.users), None):
            for name in (*self.random.sample(self.ids, k=4), None):
                variant = self.random.choice((*self.ids, "A", "B", None))
                source.assign(user, name, variant, self.moment(*FAR, None))
        # A view may hold rows twice, or none of the keys.
        source.do("insert into experiments select * from experiments where experiment_id = 'x'")
        source.do("insert into experiment_variants select * from experiment_variants limit 3")
        source.do("insert into experiments (status) values ('RUNNING')")
        source.do("insert into experiment_variants (variant_id) values ('A')")
        source.do("insert into event_logs (id) values (null)")
